"""Albedo for models that have none: that of another face model, carried over by landmarks and closest points."""

import dataclasses

import numpy as np
import scipy.sparse
from scipy.interpolate import RBFInterpolator

from lib.face_model import FaceModel
from lib.mesh_sampling.transfer import upsampling_matrix

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
    shape: np.ndarray, landmarks: np.ndarray, mirror_index: np.ndarray, source: FaceModel
) -> scipy.sparse.csr_matrix:
    """[N, M] weights, rows summing to 1, that carry vertex signals of the source to another mean face.

    The face is warped by a thin-plate spline that brings its landmarks to those of the source; each vertex then takes
    the value at the closest point of the source's surface. Averaged with its own mirror image, so a signal that is
    symmetric on the source is exactly so on the result.

    Args:
      shape: [N, 3] dm, frame of `FaceModel`.
      landmarks: [68] vertices.
      mirror_index: [N].
      source: model with M vertices.
    """
    warp = RBFInterpolator(
        shape[landmarks], source.mean_shape[source.landmarks], kernel="thin_plate_spline", smoothing=SMOOTHING
    )
    matrix = upsampling_matrix(warp(shape), source.mean_shape, source.triangles, np.zeros(0, np.int64))
    return ((matrix + matrix[mirror_index][:, source.mirror_index]) * 0.5).tocsr()


def transfer_albedo(
    shape: np.ndarray, landmarks: np.ndarray, mirror_index: np.ndarray, source: FaceModel
) -> TransferredAlbedo:
    """Albedo, skin and regions of the source on another mean face; arguments as for `transfer_matrix`."""
    matrix = transfer_matrix(shape, landmarks, mirror_index, source)
    return TransferredAlbedo(
        mean_albedo=matrix @ source.mean_albedo,
        albedo_basis=np.array([matrix @ component for component in source.albedo_basis]),
        skin_mask=matrix @ source.skin_mask.astype(np.float32) > 0.5,
        regions={name: np.clip(matrix @ weight, 0.0, 1.0) for name, weight in source.regions.items()},
    )
