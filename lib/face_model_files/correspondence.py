"""Dense correspondence of two face models by landmarks and closest points, for albedo, regions and displacements."""

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model.landmark_order import check_landmarks
from lib.mesh_sampling.transfer import upsampling_matrix
from lib.synthetic.appearance.head import border_loops

if TYPE_CHECKING:
    from scipy.interpolate import RBFInterpolator

# Regions of the source behind the surface of the face.
INSIDE = ("eye", "mouth_inside")
HOLE_REACH = 0.1  # dm: maximum distance from the centre of a hole to the region that is seen through it
SMOOTHING = 1e-3  # dm: landmarks of two models agree only to millimetres, so the warp need not be exact
PRESENT = 0.5  # a region whose weight stays below this everywhere is not on the face


def warp_between(landmarks: np.ndarray, onto: np.ndarray) -> "RBFInterpolator":
    """Thin-plate spline that maps points [M, 3] close to points [M, 3], in dm; call it with [P, 3].

    Raises:
      ValueError: the points to map lie in one plane.
    """
    from scipy.interpolate import RBFInterpolator  # slow to import, and needed only to convert face models

    try:
        return RBFInterpolator(landmarks, onto, kernel="thin_plate_spline", smoothing=SMOOTHING)
    except np.linalg.LinAlgError:
        raise ValueError("landmarks must not all lie in one plane, got such ones") from None


class Correspondence:
    """Transfers signals from the vertices of a source model to those of another face.

    A thin-plate spline warps the face's landmarks to those of the source; each vertex then takes the value at the
    closest point on the source's surface. Where the face has a hole for an eye or the mouth, the source's eyeball or
    teeth are ignored, so that lids and lips do not take their colour. The matrix is averaged with its mirror image, so
    that symmetric signals stay exactly symmetric.

    Args:
      shape: [N, 3] dm, frame of `FaceModel`.
      triangles: [F, 3].
      landmarks: [68] vertices.
      mirror_index: [N].
      source: model with M vertices.

    Attributes:
      matrix: [N, M] weights, rows summing to 1.
      distance: [N] dm from each warped vertex to its closest point.
    """

    def __init__(
        self,
        shape: np.ndarray,
        triangles: np.ndarray,
        landmarks: np.ndarray,
        mirror_index: np.ndarray,
        source: FaceModel,
    ):
        self.source = source
        warped = warp_between(shape[landmarks], source.mean_shape[source.landmarks])(shape)
        kept = source.triangles[~_behind_holes(warped, triangles, source)[source.triangles].any(axis=1)]
        matrix = upsampling_matrix(warped, source.mean_shape, kept, np.zeros(0, np.int64))
        self.distance = np.linalg.norm(warped - matrix @ source.mean_shape, axis=1)
        self.matrix: scipy.sparse.csr_matrix = ((matrix + matrix[mirror_index][:, source.mirror_index]) * 0.5).tocsr()

    def carry(self, signals: np.ndarray) -> np.ndarray:
        """Transfers signals [..., M, C] on the source; returns [..., N, C]."""
        return np.array([self.matrix @ signal for signal in signals]) if signals.ndim == 3 else self.matrix @ signals

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Transfers a mask [M]; returns bool [N]."""
        return self.matrix @ mask.astype(np.float32) > 0.5

    def regions(self) -> dict[str, np.ndarray]:
        """Transfers the source's regions, except those missing on this face, such as eyeballs if the eyes are holes."""
        carried = {name: np.clip(self.matrix @ weight, 0.0, 1.0) for name, weight in self.source.regions.items()}
        return {name: weight for name, weight in carried.items() if weight.max() > PRESENT}


def find_correspondence(
    where: object,
    shape: np.ndarray,
    triangles: np.ndarray,
    landmarks: np.ndarray,
    mirror_index: np.ndarray,
    source: FaceModel,
) -> Correspondence:
    """`Correspondence` of a face whose landmarks are from the file or folder `where`.

    Raises:
      UserError: its landmarks are in another order, or define no warp.
    """
    check_landmarks(shape[landmarks], source, where)
    try:
        return Correspondence(shape, triangles, landmarks, mirror_index, source)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _behind_holes(warped: np.ndarray, triangles: np.ndarray, source: FaceModel) -> np.ndarray:
    """[M] bool: vertices of the source that lie behind a hole of the warped face."""
    middles = [warped[loop].mean(axis=0) for loop in border_loops(triangles, warped)[1:]]
    behind = np.zeros(source.vertex_count, bool)
    for name in INSIDE:
        region = source.regions.get(name, np.zeros(source.vertex_count)) > 0.5
        points = source.mean_shape[region]
        if any((np.linalg.norm(points - middle, axis=1) < HOLE_REACH).any() for middle in middles):
            behind |= region
    return behind
