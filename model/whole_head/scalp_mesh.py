"""Parts of a whole head's mesh where hair may be, and the camera that shows them."""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse
import tensorflow as tf

from lib.face_image.region import AROUND
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.mesh_export.texture_fill import edge_laplacian, neighbour_mean

# A part is judged from this many pixels of the wide picture around a crop of REFERENCE_SIZE, and this many of the
# photo's own.
LEAST_PIXELS, FEWEST = 200, 20
# Pixels this near to an outline show both sides of it; pixels of the wide picture around a crop of REFERENCE_SIZE.
MIXED = 2


class ScalpMesh:
    """Part of a mesh.

    Args:
      model: of the whole mesh.
      part: bool [N], the part's vertices.

    Attributes:
      rows: [M] numbers of the part's vertices.
      laplacian: [M, M] from `edge_laplacian`, of the triangles that lie in the part.
      border: bool [M], vertices at the part's border.
    """

    def __init__(self, model: FaceModel, part: np.ndarray):
        self.rows = np.flatnonzero(part)
        number = np.zeros(model.vertex_count, np.int32)
        number[self.rows] = np.arange(len(self.rows))
        within = part[model.triangles]
        inner = within.all(axis=1)
        self.laplacian: scipy.sparse.csr_matrix = edge_laplacian(number[model.triangles[inner]], len(self.rows))
        self.border = np.isin(self.rows, model.triangles[~inner & within.any(axis=1)])
        self._mean = neighbour_mean(self.laplacian)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Values [M] or [M, C], half replaced by the means of their neighbours."""
        return 0.5 * (values + self._mean @ values)


@dataclass(frozen=True, eq=False)
class SeenScalp:
    """A photo at the M vertices that may carry hair.

    Attributes:
      image: [S, S, 3] float32 RGB of the wide camera.
      points: [1, M, 2] in its pixels.
      visible: [M] in [0, 1], 1 for vertices of triangles that the camera sees; those of long hair must look like hair.
      pixels: [M, 3] colours in the photo.
      colour: [M, 3] these without light.
      share: [N] of hair at all vertices.
      ids: int [S, S], the head's triangle in each pixel, -1 where there is none.
      skin: [S, S] in [0, 1], pixels that show the face's skin.
      hairy: bool [S, S], pixels that show hair, or what covers it.
      shown: [S, S] in [0, 1], pixels that show that or the face's skin.
    """

    image: np.ndarray
    points: tf.Tensor
    visible: np.ndarray
    pixels: np.ndarray
    colour: np.ndarray
    share: np.ndarray
    ids: np.ndarray
    skin: np.ndarray
    hairy: np.ndarray
    shown: np.ndarray


def widened(camera: Camera) -> Camera:
    """The camera with a margin of `AROUND` on each side of its square picture."""
    wide = _widened(camera.image_size[0])
    return dataclasses.replace(camera, image_size=(wide, wide), focal_ratio=camera.focal_length / wide)


def reference_scale(side: int) -> float:
    """Size of a wide picture with this side, relative to that around a crop of REFERENCE_SIZE."""
    return side / _widened(REFERENCE_SIZE)


def well_inside(part: np.ndarray) -> np.ndarray:
    """Bool [S, S], pixels of a part [S, S] of a wide picture that are not at its outline."""
    side = 2 * max(round(MIXED * reference_scale(len(part))), 1) + 1
    return cv2.erode(part.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def enough(part: np.ndarray) -> bool:
    """Whether a part bool [S, S] of a wide picture is large enough to tell what it shows."""
    return bool(part.sum() >= max(LEAST_PIXELS * reference_scale(len(part)) ** 2, FEWEST))


def _widened(side: int) -> int:
    return side + 2 * round(AROUND * side)
