"""Weakly supervised loss terms of the coefficient regressor (Deep3DFaceReconstruction, Deng et al. 2019).

Colours and masks are in [0, 1]; conversions to the published units (0..255, pixels of a 224 px image) happen here.
"""

import numpy as np
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.geometry.lighting import light_channels
from lib.geometry.reference import REFERENCE_SIZE
from model.losses import safe_norm

# Published weights of the terms.
WEIGHTS = {
    "photometric": 1.92,
    "landmarks": 0.0016,
    "perceptual": 0.2,
    "prior": 3e-4,
    "reflectance": 5.0,
    "light": 10.0,
}


def landmark_weights() -> np.ndarray:
    """[68] weights: 20 for the ridge of the nose and the inner lips (28..30 and 60..67), else 1."""
    weights = np.ones(68, np.float32)
    weights[28:31] = 20
    weights[60:68] = 20
    return weights


def photometric_loss(rendering: tf.Tensor, image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean distance in colour space over the mask's pixels.

    Args:
      rendering: [B, H, W, 3] RGB; may leave [0, 1].
      image: [B, H, W, 3] RGB in [0, 1].
      mask: [B, H, W, 1] in [0, 1], rendered pixels times skin probability; treated as constant.
    """
    mask = tf.stop_gradient(mask[..., 0])
    # The published code clamps the sum of a mask in 0..255 to at least 1; this is the same bound in 0..1.
    return tf.reduce_sum(safe_norm(rendering - image) * mask) / tf.maximum(tf.reduce_sum(mask), 1 / 255)


def landmark_loss(
    landmarks: tf.Tensor, target: tf.Tensor, image_height: int, weights: np.ndarray | None = None
) -> tf.Tensor:
    """Weighted mean of squared landmark distances.

    Args:
      landmarks, target: [B, 68, 2] pixels of an image of `image_height`, both in the same frame.
      image_height: pixels; distances are scaled to the published 224.
      weights: [68], by default `landmark_weights()`.
    """
    weights = landmark_weights() if weights is None else weights
    difference = (landmarks - target) * (REFERENCE_SIZE / image_height)
    return tf.reduce_mean(tf.reduce_sum(tf.square(difference), axis=-1) * weights)


def perceptual_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean of max(0, 1 - cosine) of the identity features [B, E] of rendering and photo."""
    cosine = tf.reduce_sum(tf.math.l2_normalize(features, axis=-1) * tf.math.l2_normalize(target, axis=-1), axis=-1)
    return tf.reduce_mean(tf.nn.relu(1 - cosine))


def prior_loss(coefficients: Coefficients) -> tf.Tensor:
    """Mean over the batch of the squared coefficients, weighted: identity 1, expression 0.8, albedo 0.017."""

    def squared(part):
        return tf.reduce_sum(tf.square(part), axis=-1)

    total = (
        squared(coefficients.identity) + 0.8 * squared(coefficients.expression) + 0.017 * squared(coefficients.albedo)
    )
    return tf.reduce_mean(total)


def reflectance_loss(albedo: tf.Tensor, skin_mask: tf.Tensor) -> tf.Tensor:
    """Variance of the albedo over the skin, summed over channels.

    Args:
      albedo: [B, N, 3] RGB, 1 = white.
      skin_mask: [N], 1 on skin and 0 elsewhere.
    """
    weights = skin_mask[:, None]
    count = tf.reduce_sum(skin_mask)
    mean = tf.reduce_sum(albedo * weights, axis=1, keepdims=True) / count
    variance = tf.reduce_sum(tf.square((albedo - mean) * weights), axis=[1, 2]) / count
    return tf.reduce_mean(variance)


def light_loss(light: tf.Tensor) -> tf.Tensor:
    """Mean squared deviation of the light [B, 27] from grey light."""
    channels = light_channels(light)
    return tf.reduce_mean(tf.square(channels - tf.reduce_mean(channels, axis=1, keepdims=True)))
