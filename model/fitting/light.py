"""The light of a face of known shape and albedo, in closed form."""

import dataclasses

import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import AMBIENT, BANDS, sh_basis
from lib.images.sampling import sample_image
from model.fitting.energy import forgetful, light_energy, light_precision
from model.fitting.surface import SurfaceSteps, visible_weights
from model.fitting.weights import FitWeights
from model.morphable_model import MorphableModel

ITERATIONS = 6
# On synthetic faces, the two starts' energies differ by up to 2 % in nine of ten cases; under a black cap by 74 %, and
# with much dark hair in the mask by 7 to 20 %.
CLEARLY_WORSE = 1.05
# Part of the names of caches of solved light. Increase it with every change to `with_solved_light` or what it calls.
METHOD = 2


def solve_light(
    model: MorphableModel,
    camera: Camera,
    coefficients: tf.Tensor,
    image: tf.Tensor,
    weight: tf.Tensor,
    weights: FitWeights,
) -> tf.Tensor:
    """Replaces the light with the one that fits the image best, given shape and albedo.

    Iteratively re-weighted least squares with the Geman-McClure loss, which ignores dark hair and caps in the mask.
    What it ignores depends on the start. One leaves out brows and beard: the face model's albedo hardly has them, and
    light from above would explain a full beard as well. If its result is clearly worse than that of a start with all
    vertices, as below a cap that covers much of the rest, the other one counts.

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
    variance = weights.colour_sigma**2
    scale = weights.observations / variance * share
    prior = tf.constant(light_precision())
    albedo = tf.transpose(posed.albedo, [0, 2, 1])  # [B, 3, N]
    products = tf.reshape(basis[..., :, None] * basis[..., None, :], [-1, model.vertex_count, BANDS * BANDS])
    rest = tf.transpose(wanted, [0, 2, 1]) - AMBIENT * albedo * basis[:, None, :, 0]

    def solved(scale):
        weighted = scale[:, None] * albedo
        own = tf.reshape(tf.matmul(weighted * albedo, products), [-1, 3, 1, BANDS, BANDS])
        normal = tf.transpose(own * tf.eye(3)[..., None, None], [0, 1, 3, 2, 4])  # [B, 3, 9, 3, 9]
        moment = tf.reshape(tf.matmul(weighted * rest, basis), [-1, 3 * BANDS, 1])
        return tf.linalg.solve(tf.reshape(normal, [-1, 3 * BANDS, 3 * BANDS]) + prior, moment)[..., 0]

    def squared_error(light):
        shading = tf.matmul(tf.reshape(light, [-1, 3, BANDS]), basis, transpose_b=True)
        return tf.reduce_sum(tf.square(rest - albedo * shading), axis=1)

    found = []
    for start in (scale, scale * (1 - model.hairy)):
        light = solved(start)
        for _ in range(ITERATIONS - 1):
            light = solved(scale / tf.square(1 + squared_error(light) / variance))
        loss = tf.reduce_sum(scale * variance * forgetful(squared_error(light) / variance, half=1.0), axis=-1)
        found.append((light, loss + light_energy(light)))
    (light, energy), (shaved, energy_shaved) = found
    light = tf.where((energy_shaved > CLEARLY_WORSE * energy)[:, None], light, shaved)
    return model.layout.join(dataclasses.replace(posed.coefficients, light=light))


def with_solved_light(model: MorphableModel, camera: Camera, coefficients: tf.Tensor, crops: tf.Tensor) -> tf.Tensor:
    """Coefficients [B, K] with the light that fits crops [B, H, W, 4] RGBA in [0, 1] best; see `solve_light`."""
    visible = visible_weights(SurfaceSteps(model, camera), coefficients, crops[..., 3:])
    return solve_light(model, camera, coefficients, crops[..., :3], visible.weight, FitWeights())
