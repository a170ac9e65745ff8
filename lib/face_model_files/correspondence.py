"""Dense correspondence of two face models, by landmarks and closest points; it carries albedo, regions, movements."""

import numpy as np
import scipy.sparse
from scipy.interpolate import RBFInterpolator

from lib.face_model.face_model import FaceModel
from lib.mesh_sampling.transfer import upsampling_matrix
from lib.synthetic.appearance.head import border_loops

# Regions of the source that lie behind the surface of the face.
INSIDE = ("eye", "mouth_inside")
HOLE_REACH = 0.1  # dm: a hole's middle so close to one of them is its opening
SMOOTHING = 1e-3  # dm: landmarks of two models agree to millimetres only, so the warp need not meet them exactly
PRESENT = 0.5  # a region whose weight stays below this everywhere is not on the face


def warp_between(landmarks: np.ndarray, onto: np.ndarray) -> RBFInterpolator:
    """The thin-plate spline that brings points [M, 3] near others [M, 3], in dm; call it with [P, 3]."""
    return RBFInterpolator(landmarks, onto, kernel="thin_plate_spline", smoothing=SMOOTHING)


class Correspondence:
    """From the vertices of a source model to those of another mean face.

    The face is warped by a thin-plate spline that brings its landmarks to those of the source; each vertex then takes
    the value at the closest point of the source's surface. Where the face has a hole for an eye or the mouth, the
    source's eyeball or teeth are left out, so that lids and lips do not take their colour. Averaged with its own mirror
    image, so a signal that is symmetric on the source is exactly so on the result.

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
        """[..., N, C] of signals [..., M, C] on the source."""
        return np.array([self.matrix @ signal for signal in signals]) if signals.ndim == 3 else self.matrix @ signals

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """[N] bool of a mask [M]."""
        return self.matrix @ mask.astype(np.float32) > 0.5

    def regions(self) -> dict[str, np.ndarray]:
        """The source's regions; those that are not on this face, as eyeballs where the eyes are holes, are left out."""
        carried = {name: np.clip(self.matrix @ weight, 0.0, 1.0) for name, weight in self.source.regions.items()}
        return {name: weight for name, weight in carried.items() if weight.max() > PRESENT}


def _behind_holes(warped: np.ndarray, triangles: np.ndarray, source: FaceModel) -> np.ndarray:
    """[M] vertices of the source that the warped face has a hole for."""
    middles = [warped[loop].mean(axis=0) for loop in border_loops(triangles, warped)[1:]]
    behind = np.zeros(source.vertex_count, bool)
    for name in INSIDE:
        region = source.regions.get(name, np.zeros(source.vertex_count)) > 0.5
        points = source.mean_shape[region]
        if any((np.linalg.norm(points - middle, axis=1) < HOLE_REACH).any() for middle in middles):
            behind |= region
    return behind
