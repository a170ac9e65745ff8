"""Energy terms of the fit as pure functions: negative log-likelihood of the photo, negative log-prior of the face."""

import dataclasses

import numpy as np
import tensorflow as tf

from lib.face_mesh.groups import POINTS
from lib.face_model.coefficients import Coefficients
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.sampling import sample_image
from lib.tensor_structure import TensorStructure

# Expected size of the light's coefficients by band (constant; linear; quadratic): for the mean over colour channels,
# and for a channel's deviation from that mean. Without the first prior, the light would explain what belongs to the
# albedo; without the second, a tanned face would become a pale one in orange light.
LIGHT_SIGMA = (0.4,) + (0.35,) * 3 + (0.2,) * 5
LIGHT_COLOUR_SIGMA = (0.12,) + (0.08,) * 3 + (0.04,) * 5
# Landmarks farther off than this many standard deviations count linearly instead of quadratically.
LANDMARK_REACH = 3.0
# Standard deviation of one-sided expressions in their impossible direction.
PUSHING_SIGMA = 0.3


@dataclasses.dataclass(frozen=True)
class FitTargets(TensorStructure):
    """Measurements of a batch of aligned crops.

    Attributes:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] face mask in [0, 1].
      points: [B, 5, 2] detected eyes, nose, mouth corners, pixels of the crop.
      landmarks: [B, 68, 2] weak targets for the landmarks, pixels of the crop.
      landmark_weight: [B, 68] at least 0; 0 where there is no target.
      point_sigma: [B] expected error of the points, pixels of a 224 crop; None to use the fitter's.
      mesh: [B, 468, 2] the face mesh's points, pixels of the crop; None without them.
      mesh_weight: [B] weight of these points; 0 where the network saw no face.
      mouth_seen: [B] whether landmarks show how far the mouth is open, so that the prior need not favour closed lips;
        None if they do in no crop.
      inside: [B, H, W] pixels that the photos cover, at whose borders masks end without an outline; None for all.
      regressed: [B, K] the regressor's coefficients, the expected values of identity and albedo; None to expect the
        face model's mean.
    """

    image: tf.Tensor
    alpha: tf.Tensor
    points: tf.Tensor
    landmarks: tf.Tensor
    landmark_weight: tf.Tensor
    point_sigma: tf.Tensor | None = None
    mesh: tf.Tensor | None = None
    mesh_weight: tf.Tensor | None = None
    mouth_seen: tf.Tensor | None = None
    inside: tf.Tensor | None = None
    regressed: tf.Tensor | None = None

    @classmethod
    def blank(cls, size: int, landmarks: int, regressed: tf.Tensor, mesh: bool) -> "FitTargets":
        """Measurements of a crop that shows nothing, with or without the face mesh's points."""
        points = {"mesh": tf.zeros([1, POINTS, 2]), "mesh_weight": tf.zeros([1]), "mouth_seen": tf.ones([1], tf.bool)}
        return cls(
            image=tf.zeros([1, size, size, 3]),
            alpha=tf.zeros([1, size, size, 1]),
            points=tf.zeros([1, 5, 2]),
            landmarks=tf.zeros([1, landmarks, 2]),
            landmark_weight=tf.zeros([1, landmarks]),
            point_sigma=tf.ones([1]),
            inside=tf.ones([1, size, size], tf.bool),
            regressed=regressed,
            **(points if mesh else {}),
        )


def robust(squared: tf.Tensor) -> tf.Tensor:
    """Pseudo-Huber loss: half the square near 0, linear far out; `squared` is in squared standard deviations."""
    return tf.sqrt(1 + squared) - 1


def forgetful(squared: tf.Tensor, half: float = 9.0) -> tf.Tensor:
    """Geman-McClure loss: half the square near 0, constant far out to ignore outliers; half its limit at `half`."""
    return 0.5 * squared / (1 + squared / half)


def point_energy(found: tf.Tensor, wanted: tf.Tensor, image_size: int, sigma: float | tf.Tensor) -> tf.Tensor:
    """Energy [B] of projected points [B, M, 2] against detected ones, each off by `sigma` pixels of a 224 crop."""
    return 0.5 * tf.reduce_sum(tf.square((found - wanted) * (REFERENCE_SIZE / image_size / sigma)), axis=[1, 2])


def landmark_energy(found: tf.Tensor, wanted: tf.Tensor, weight: tf.Tensor, image_size: int, sigma: float) -> tf.Tensor:
    """Energy [B] of projected landmarks [B, M, 2] against weak targets with weights [B, M]."""
    squared = tf.reduce_sum(tf.square((found - wanted) * (REFERENCE_SIZE / image_size / sigma)), axis=-1)
    return tf.reduce_sum(weight * robust(squared), axis=-1)


def outline_energy(
    points: tf.Tensor, wanted: tf.Tensor, outwards: tf.Tensor, weight: tf.Tensor, image_size: int, sigma: float
) -> tf.Tensor:
    """Energy [B] of the distance between silhouette points [B, P, 2] and an outline.

    Distances are measured along the outline's normals, so points can slide along it.

    Args:
      wanted, outwards: [B, P, 2] points of the outline and its unit normals.
      weight: [B, P].
    """
    across = tf.reduce_sum((points - wanted) * outwards, axis=-1) * (REFERENCE_SIZE / image_size / sigma)
    return tf.reduce_sum(weight * robust(tf.square(across)), axis=-1)


def photometric_energy(
    colour: tf.Tensor, image: tf.Tensor, points: tf.Tensor, weight: tf.Tensor, sigma: float, observations: float
) -> tf.Tensor:
    """Energy [B] of the difference between vertex colours and the image at the projected vertices.

    The gradient with respect to the geometry comes from the gradient of the image, as in registration methods. It pulls
    features into place without differentiating through a rasteriser.

    Args:
      colour: [B, N, 3] RGB.
      image: [B, H, W, 3] RGB.
      points: [B, N, 2] pixels.
      weight: [B, N] visible area of each vertex, 0 where hidden or outside the mask; treated as constant.
      sigma: expected difference.
      observations: number of independent measurements that all vertices together represent.
    """
    squared = tf.reduce_sum(tf.square((colour - sample_image(image, points)) / sigma), axis=-1)
    share = weight / tf.maximum(tf.reduce_sum(weight, axis=-1, keepdims=True), 1e-6)
    return observations * tf.reduce_sum(tf.stop_gradient(share) * forgetful(squared), axis=-1)


def prior_energy(parts: Coefficients, one_sided: tf.Tensor, expression_sigma: tf.Tensor) -> tf.Tensor:
    """Energy [B] of identity, expression and albedo coefficients under their prior.

    Args:
      parts: identity and albedo as deviations from their expected values, in units of the expected error.
      one_sided: [Ke] 1 for expressions that only have a positive direction (muscles only pull), 0 for the others.
      expression_sigma: [Ke] standard deviations of the expressions.
    """
    pushed = one_sided * tf.minimum(parts.expression, 0.0) / PUSHING_SIGMA
    expression = parts.expression / expression_sigma
    squares = [tf.square(part) for part in (parts.identity, expression, parts.albedo, pushed)]
    return 0.5 * tf.add_n([tf.reduce_sum(part, axis=-1) for part in squares])


def light_energy(light: tf.Tensor) -> tf.Tensor:
    """Energy [B] of light coefficients [B, 27] under a prior of moderate, nearly white light."""
    return 0.5 * tf.reduce_sum(tf.matmul(light, tf.constant(light_precision(), light.dtype)) * light, axis=-1)


def light_precision() -> np.ndarray:
    """[27, 27] float32, inverse covariance of the light: of the channels' mean, and of how far each differs from it."""
    mean = np.full((3, 3), 1 / 9)  # the square of the channels' mean
    difference = np.eye(3) - np.full((3, 3), 1 / 3)
    common, coloured = (np.diag(np.square(1 / np.array(sigma))) for sigma in (LIGHT_SIGMA, LIGHT_COLOUR_SIGMA))
    return (np.kron(mean, common) + np.kron(difference, coloured)).astype(np.float32)


def asymmetry_energy(albedo: tf.Tensor, pairs: tf.Tensor, sigma: float, observations: float) -> tf.Tensor:
    """Energy [B] of differences in albedo [B, N, 3] between the sides of the face, whose skin hardly differs.

    Args:
      pairs: [P, 2] mirrored vertices; the energy is 0 without any.
      sigma: expected difference.
      observations: number of independent measurements that all pairs together represent.
    """
    if pairs.shape[0] == 0:
        return tf.zeros_like(albedo[:, 0, 0])
    difference = tf.gather(albedo, pairs[:, 0], axis=1) - tf.gather(albedo, pairs[:, 1], axis=1)
    return observations * tf.reduce_mean(robust(tf.reduce_sum(tf.square(difference / sigma), axis=-1)), axis=-1)
