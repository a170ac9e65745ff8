"""A photo as a camera with a wider field of view than the crops sees it: crops end below the crown."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.face_image.region import PhotoRegion
from lib.face_mask.person import person_log_odds
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import triangle_ids
from model.morphable_model import MorphableModel, PosedFace
from model.whole_head.scalp_mesh import widened

# What shows the person is believed if that holds for this share of the bare head's pixels, and up to these log odds.
RECOGNISED, SURE = 0.8, 2.0


@dataclass(frozen=True, eq=False)
class WideView:
    """The photo around a head, and where the bare head is in it.

    Attributes:
      camera: of the picture, with S pixels a side.
      image: [S, S, 3] float32 RGB in [0, 1].
      inside: bool [S, S], pixels that the photo covers.
      skin: bool [S, S], pixels that show the face's skin.
      ids: int [S, S], the triangle in each pixel, -1 where there is none.
      person: [S, S] float32, log of the odds of the person to what is behind; 0 if the head itself is not recognised.
    """

    camera: Camera
    image: np.ndarray
    inside: np.ndarray
    skin: np.ndarray
    ids: np.ndarray
    person: np.ndarray

    @classmethod
    def of(
        cls, morphable: MorphableModel, crop: Camera, face: PosedFace, readable: np.ndarray, region: PhotoRegion
    ) -> "WideView":
        """The view of a bare head.

        Args:
          morphable: the head's model.
          crop: camera of the crops.
          face: the bare head, a batch of one.
          readable: [H, W] pixels of the crop that show the face's skin.
          region: the photo around the crop.
        """
        camera = widened(crop)
        size = camera.image_size[0]
        image, inside = region.frame(crop.image_size[0], size)
        ids = triangle_ids(camera.clip_coordinates(face.vertices), morphable.triangles, camera.image_size)
        skin = np.pad(readable > 0.5, (size - len(readable)) // 2)
        head, person = ids.numpy()[0] >= 0, person_log_odds(image)
        recognised = (person[head & inside] > 0).mean() if (head & inside).any() else 0
        person = np.clip(person, -SURE, SURE) * (recognised > RECOGNISED)
        return cls(camera, image, inside, skin, ids.numpy()[0], person)

    def without_person(self) -> "WideView":
        """The view without knowledge of the person's outline."""
        return dataclasses.replace(self, person=np.zeros_like(self.person))

    @cached_property
    def head(self) -> np.ndarray:
        """Bool [S, S], pixels of the bare head."""
        return self.ids >= 0

    def shown(self, triangles: np.ndarray) -> np.ndarray:
        """Bool [S, S], pixels that show one of the given triangles, bool [F]."""
        return triangles[self.ids] & self.head
