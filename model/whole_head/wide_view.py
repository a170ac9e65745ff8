"""A photo as a camera with a wider field of view than the crops sees it: crops end below the crown."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import triangle_ids
from model.morphable_model import MorphableModel, PosedFace
from model.whole_head.scalp_mesh import widened


@dataclass(frozen=True, eq=False)
class WideView:
    """The photo around a head, and where the bare head is in it.

    Attributes:
      camera: of the picture, with S pixels a side.
      image: [S, S, 3] float32 RGB in [0, 1].
      inside: bool [S, S], pixels that the photo covers.
      skin: bool [S, S], pixels that show the face's skin.
      ids: int [S, S], the triangle in each pixel, -1 where there is none.
    """

    camera: Camera
    image: np.ndarray
    inside: np.ndarray
    skin: np.ndarray
    ids: np.ndarray

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
        return cls(camera, image, inside, skin, ids.numpy()[0])

    @cached_property
    def head(self) -> np.ndarray:
        """Bool [S, S], pixels of the bare head."""
        return self.ids >= 0

    def shown(self, triangles: np.ndarray) -> np.ndarray:
        """Bool [S, S], pixels that show one of the given triangles, bool [F]."""
        return triangles[self.ids] & self.head
