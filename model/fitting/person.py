"""Fits several crops of one person jointly, with shared identity and albedo and separate other coefficients."""

import numpy as np
import tensorflow as tf

from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.coefficients import CoefficientLayout
from lib.geometry.camera import Camera
from model.fitting.energy import FitTargets
from model.fitting.fitter import Fitter
from model.fitting.surface import Surface
from model.fitting.weights import FitWeights, RegressedErrors
from model.morphable_model import MorphableModel

SHARED = ("identity", "albedo")
# Huber's constant: photos count less if their coefficients are farther from the mean than this many median distances.
ROBUST = 1.345
MEAN_ITERATIONS = 10
# Vectors closer than this, in standard deviations of the prior, are of copies of one photo.
SAME = 0.05


class PersonFitter(Fitter):
    """Fits a batch of crops of one person.

    The energies of the crops are added; the prior of the shared coefficients counts once. All rows start with the same
    shared coefficients and receive the same gradient for them, so they stay equal.

    Args:
      frozen: the shared coefficients are known and stay as they are.
      model, camera, learning_rate, weights, points, regressed_errors: see `Fitter`.
    """

    def __init__(
        self,
        model: MorphableModel,
        camera: Camera,
        learning_rate: float = 0.05,
        weights: FitWeights | None = None,
        points: SurfacePoints | None = None,
        regressed_errors: RegressedErrors | None = None,
        frozen: bool = False,
    ):
        super().__init__(model, camera, learning_rate, weights, points, regressed_errors=regressed_errors)
        self._shared = tf.constant(shared_slots(model.layout))
        self._factor = 0.0 if frozen else 1.0

    def energies(
        self, coefficients: tf.Tensor, targets: FitTargets, surface: Surface, colour_factor: float | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """See `Fitter.energies`; each of B crops carries 1 / B of the priors of identity and albedo."""
        terms = super().energies(coefficients, targets, surface, colour_factor)
        terms["asymmetry"] = self.prior_share(coefficients) * terms["asymmetry"]
        return terms

    def prior_share(self, coefficients: tf.Tensor) -> float | tf.Tensor:
        """1 / B."""
        return 1 / tf.cast(tf.shape(coefficients)[0], tf.float32)

    def shared_gradient(self, slope: tf.Tensor) -> tf.Tensor:
        """Sums the gradient of the shared coefficients over the crops."""
        total = self._factor * tf.reduce_sum(slope, axis=0, keepdims=True)
        return tf.where(self._shared, total, slope)


def shared_slots(layout: CoefficientLayout) -> np.ndarray:
    """[K] bool, coefficients that all photos of a person share."""
    shared = np.zeros(layout.size, bool)
    for name in SHARED:
        shared[layout.slices[name]] = True
    return shared


def with_shared_mean(layout: CoefficientLayout, coefficients: np.ndarray) -> np.ndarray:
    """Coefficients [B, K] of one person with identity and albedo replaced by their robust mean.

    Whole vectors are weighed, not single coefficients: a photo is misread as a whole.
    """
    result = np.array(coefficients, np.float32)
    for name in SHARED:
        part = layout.slices[name]
        result[:, part] = robust_mean(result[:, part])
    return result


def robust_mean(vectors: np.ndarray) -> np.ndarray:
    """Mean [K] of vectors [B, K], those far from the others weighed down (Huber, re-weighted least squares).

    Copies count once: many would be the median, with a distance of 0 from it, and silence all others.
    """
    vectors = _different(vectors)
    mean = np.median(vectors, axis=0)
    for _ in range(MEAN_ITERATIONS):
        distance = np.linalg.norm(vectors - mean, axis=-1)
        weight = 1 / np.maximum(distance / max(ROBUST * np.median(distance), 1e-9), 1)
        mean = weight @ vectors / weight.sum()
    return mean


def _different(vectors: np.ndarray) -> np.ndarray:
    """The first of each group of equal vectors [B, K]."""
    kept = [0]
    for row in range(1, len(vectors)):
        if np.linalg.norm(vectors[kept] - vectors[row], axis=-1).min() >= SAME:
            kept.append(row)
    return vectors[kept]
