"""The light of a face of known shape and albedo, in closed form."""

import dataclasses

import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import AMBIENT, BANDS, sh_basis
from lib.images.sampling import sample_image
from model.fitting.energy import LIGHT_SIGMA
from model.fitting.surface import SurfaceSteps, visible_weights
from model.fitting.weights import FitWeights
from model.morphable_model import MorphableModel

ITERATIONS = 4
# Part of the names of caches of solved light. Increase it with every change to `with_solved_light` or what it calls.
METHOD = 1


def solve_light(
    model: MorphableModel,
    camera: Camera,
    coefficients: tf.Tensor,
    image: tf.Tensor,
    weight: tf.Tensor,
    weights: FitWeights,
) -> tf.Tensor:
    """Replaces the light with the one that fits the image best, given shape and albedo.

    Iteratively re-weighted ridge regression: the robust weights suppress dark hair and caps in the mask.

    Args:
      model: the face model.
      camera: camera of the image.
      coefficients: [B, K].
      image: [B, H, W, 3] RGB in [0, 1].
      weight: [B, N] visible area of each vertex, 0 where hidden or outside the mask.
      weights: expected error of a colour, and number of independent colours.

    Returns:
      [B, K] with the solved light.
    """
    posed = model.posed(coefficients, camera)
    basis = sh_basis(posed.normals)
    wanted = sample_image(image, camera.project(posed.vertices))
    share = weight / tf.maximum(tf.reduce_sum(weight, axis=-1, keepdims=True), 1e-6)
    scale = weights.observations / weights.colour_sigma**2 * share
    ridge = tf.linalg.diag(1 / tf.square(tf.constant(LIGHT_SIGMA)))
    albedo = tf.transpose(posed.albedo, [0, 2, 1])  # [B, 3, N]
    products = tf.reshape(basis[..., :, None] * basis[..., None, :], [-1, model.vertex_count, BANDS * BANDS])
    rest = tf.transpose(wanted, [0, 2, 1]) - AMBIENT * albedo * basis[:, None, :, 0]
    for _ in range(ITERATIONS):
        weighted = scale[:, None] * albedo
        normal = tf.reshape(tf.matmul(weighted * albedo, products), [-1, 3, BANDS, BANDS]) + ridge
        light = tf.linalg.solve(normal, tf.matmul(weighted * rest, basis)[..., None])[..., 0]  # [B, 3, 9]
        error = tf.reduce_sum(tf.square(rest - albedo * tf.matmul(light, basis, transpose_b=True)), axis=1)
        scale = share * weights.observations / (weights.colour_sigma**2 + error)
    return model.layout.join(dataclasses.replace(posed.coefficients, light=tf.reshape(light, [-1, 3 * BANDS])))


def with_solved_light(model: MorphableModel, camera: Camera, coefficients: tf.Tensor, crops: tf.Tensor) -> tf.Tensor:
    """Coefficients [B, K] with the light that fits crops [B, H, W, 4] RGBA in [0, 1] best; see `solve_light`."""
    visible = visible_weights(SurfaceSteps(model, camera), coefficients, crops[..., 3:])
    return solve_light(model, camera, coefficients, crops[..., :3], visible.weight, FitWeights())
