"""Albedo for models that have none: that of another face model, carried over by landmarks and closest points."""

import dataclasses

import numpy as np
import scipy.sparse
from scipy.interpolate import RBFInterpolator

from lib.face_model import FaceModel
from lib.mesh_sampling.transfer import upsampling_matrix
from lib.synthetic.head import border_loops

# Regions of the source that lie behind the surface of the face.
INSIDE = ("eye", "mouth_inside")
HOLE_REACH = 0.1  # dm: a hole's middle so close to one of them is its opening
SMOOTHING = 1e-3  # dm: landmarks of two models agree to millimetres only, so the warp need not meet them exactly


@dataclasses.dataclass(frozen=True)
class TransferredAlbedo:
    """What a shape-only model lacks, over its N vertices.

    Attributes:
      mean_albedo: [N, 3] RGB in [0, 1].
      albedo_basis: [K, N, 3] for coefficients of unit variance.
      skin_mask: [N] bool.
      regions: name -> [N] weight in [0, 1].
    """

    mean_albedo: np.ndarray
    albedo_basis: np.ndarray
    skin_mask: np.ndarray
    regions: dict[str, np.ndarray]


def transfer_matrix(
    shape: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, mirror_index: np.ndarray, source: FaceModel
) -> scipy.sparse.csr_matrix:
    """[N, M] weights, rows summing to 1, that carry vertex signals of the source to another mean face.

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
    """
    warp = RBFInterpolator(
        shape[landmarks], source.mean_shape[source.landmarks], kernel="thin_plate_spline", smoothing=SMOOTHING
    )
    warped = warp(shape)
    loops = border_loops(triangles, shape)
    left_out = np.zeros(source.vertex_count, bool)
    for name in INSIDE:
        region = source.regions.get(name, np.zeros(source.vertex_count)) > 0.5
        if region.any() and any(_is_over(warped[loop], source.mean_shape[region]) for loop in loops[1:]):
            left_out |= region
    kept = source.triangles[~left_out[source.triangles].any(axis=1)]
    matrix = upsampling_matrix(warped, source.mean_shape, kept, np.zeros(0, np.int64))
    return ((matrix + matrix[mirror_index][:, source.mirror_index]) * 0.5).tocsr()


def _is_over(loop: np.ndarray, region: np.ndarray) -> bool:
    """Whether the middle of a hole's border is close to a region of the source."""
    return np.linalg.norm(region - loop.mean(axis=0), axis=1).min() < HOLE_REACH


def transfer_albedo(
    shape: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, mirror_index: np.ndarray, source: FaceModel
) -> TransferredAlbedo:
    """Albedo, skin and regions of the source on another mean face; arguments as for `transfer_matrix`."""
    matrix = transfer_matrix(shape, triangles, landmarks, mirror_index, source)
    regions = {name: np.clip(matrix @ weight, 0.0, 1.0) for name, weight in source.regions.items()}
    return TransferredAlbedo(
        mean_albedo=matrix @ source.mean_albedo,
        albedo_basis=np.array([matrix @ component for component in source.albedo_basis]),
        skin_mask=matrix @ source.skin_mask.astype(np.float32) > 0.5,
        # A region that hardly shows is not on this face: eyeballs are not where the eyes are holes.
        regions={name: weight for name, weight in regions.items() if weight.max() > 0.5},
    )
