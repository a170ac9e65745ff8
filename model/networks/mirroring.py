"""Coefficients of mirrored pictures, for training on mirrored faces and for test-time averaging over both."""

import numpy as np
import tensorflow as tf

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.geometry.lighting import BANDS

# Share of the shape's variance that may lie outside the mirrored basis. In a basis that is not symmetric, mirrored
# faces have no exact coefficients.
TOLERANCE = 0.01
# Directions in coefficient space that change the face by less than this share of the strongest one are ignored. Bases
# transferred from another mesh may contain directions without any effect, which make the least squares unbounded.
NEGLIGIBLE = 1e-3
# Spherical harmonics in the order of lib.geometry.lighting that are odd in x: x, xy, xz.
ODD_BANDS = (3, 4, 7)


def mirrored_coefficients(face_model: FaceModel) -> np.ndarray:
    """Matrix [K, K] float32 such that `c @ matrix` are the coefficients of the mirrored picture.

    Yaw, roll, sideways translation and the bands of light that are odd in x change sign; identity and expression
    describe the mirrored shape. Albedo coefficients are the closest possible, since an albedo basis lacks mirrored
    moles and freckles.

    Args:
      face_model: model whose shape bases span a symmetric space.

    Raises:
      UserError: the shape bases are not symmetric.
    """
    matrix, fault = mirror_matrix(face_model)
    if fault:
        raise UserError(f"pretrain.mirror: {fault} (set pretrain.mirror=false)")
    return matrix


def mirror_matrix(face_model: FaceModel) -> tuple[np.ndarray, str]:
    """Matrix of `mirrored_coefficients`, and the reason why it is inexact (empty if it is exact)."""
    layout, fault = face_model.layout, ""
    matrix = np.eye(layout.size)
    shape = np.array([-1.0, 1.0, 1.0])
    for group, basis, signs in (
        ("identity", face_model.identity_basis, shape),
        ("expression", face_model.expression_basis, shape),
        ("albedo", face_model.albedo_basis, np.ones(3)),
    ):
        part = layout.slices[group]
        matrix[part, part], missed = _mirrored_basis(basis, face_model.mirror_index, signs)
        if group != "albedo" and missed > TOLERANCE:
            fault = (
                f"the {group} basis of '{face_model.name}' must be symmetric, got {missed:.1%} of its variance outside "
                "of the mirrored basis"
            )
    start = {group: part.start for group, part in layout.slices.items()}
    flipped = [start["angles"] + 1, start["angles"] + 2, start["translation"]]
    flipped += [start["light"] + BANDS * channel + band for channel in range(3) for band in ODD_BANDS]
    matrix[flipped, flipped] = -1.0
    return matrix.astype(np.float32), fault


class BothSides:
    """A frozen regressor that averages its predictions for a crop and for the mirrored crop.

    The errors of the two predictions differ, so their mean is more accurate: by 7 % in pose for the shipped weights.

    Args:
      regressor: crops [B, H, W, 3] -> coefficients [B, K] and features [B, E].
      matrix: [K, K] from `mirror_matrix`.
    """

    trainable = False

    def __init__(self, regressor, matrix: np.ndarray):
        self.regressor, self.matrix = regressor, tf.constant(matrix)
        self.feature_size = regressor.feature_size

    def __call__(self, crop, training: bool = False):
        """Averaged coefficients, and the features of the crop itself."""
        coefficients, features = self.regressor(crop, training=training)
        mirrored, _ = self.regressor(tf.reverse(crop, axis=[2]), training=training)
        return 0.5 * (coefficients + tf.matmul(mirrored, self.matrix)), features


def from_both_sides(regressor, face_model: FaceModel):
    """Wraps the regressor in `BothSides`; returns it unchanged if the face model's bases are not symmetric."""
    matrix, fault = mirror_matrix(face_model)
    return regressor if fault else BothSides(regressor, matrix)


def _mirrored_basis(basis: np.ndarray, mirror_index: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, float]:
    """Matrix [k, k] that expresses the mirrored modes of `basis` [k, N, 3] in the basis, and the variance it misses."""
    if not len(basis):
        return np.zeros((0, 0)), 0.0
    # Mirroring keeps the even part of the modes and changes the sign of the odd part, which are orthogonal.
    even, odd = (part @ part.T for part in _even_and_odd(basis, mirror_index, signs))
    products, mirrored_products = even + odd, even - odd
    # Least squares by the normal equations: k is small, and the cut-off lies far above the precision of float64.
    scale, directions = np.linalg.eigh(products)
    kept = scale > np.square(NEGLIGIBLE) * scale[-1]
    inverse = (directions[:, kept] / scale[kept]) @ directions[:, kept].T
    mixing = mirrored_products @ inverse
    variance = np.trace(products)
    missed = variance - 2 * (mixing * mirrored_products).sum() + ((mixing @ products) * mixing).sum()
    return mixing, float(max(missed, 0.0) / max(variance, 1e-30))


def _even_and_odd(basis: np.ndarray, mirror_index: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [k, .] of modes [k, N, 3] that keep their value when mirrored, and those that change their sign."""
    vertices = np.arange(len(mirror_index))
    left, middle = np.flatnonzero(vertices < mirror_index), np.flatnonzero(vertices == mirror_index)
    even: list[np.ndarray] = []
    odd: list[np.ndarray] = []
    for mode in basis:  # one by one, so that the copies stay in the processor's cache
        one, other, centre = (mode[side].astype(np.float64) for side in (left, mirror_index[left], middle))
        other *= signs
        for part, pairs, sign in ((even, one + other, 1), (odd, one - other, -1)):
            part.append(np.concatenate([pairs.ravel() / np.sqrt(2), centre[:, signs == sign].ravel()]))
    return np.stack(even), np.stack(odd)
