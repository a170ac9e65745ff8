"""Views of a true face that its photo did not show, and the vertices that it did.

Why new views are compared as they are: the mesh of truth and reconstruction is the same, vertex by vertex, so the true
albedo (with all the skin's detail) and a reconstructed one can both be drawn on the true shape, in the same pose, under
the same light. What differs then is the texture alone: errors of shape and pose count where they moved colours to wrong
vertices, not as shifted outlines. Light and albedo are not scaled to fit: a face that was reconstructed too dark under
too bright a light looks right in its photo and too dark here.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.rotation import rotation_matrix
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.synthetic.appearance.sampling_priors import LUMINANCE
from lib.synthetic.rendering.lights import sample_light
from lib.tensor_structure import TensorStructure
from model.morphable_model import MorphableModel
from model.projection import zbuffer_projection

NEW_YAWS = (30.0, 60.0)  # degrees, away from the side that the photo shows
_LIGHTS = 7919  # seed of the new lights: a stream of random numbers that nothing else uses


@dataclass(frozen=True)
class NewViews(TensorStructure):
    """Textures in views V that the photo did not show.

    Attributes:
      pictures: [V, A, H, W, 3] RGB in [0, 1], one for each albedo; 0 in the background.
      face: [V, H, W, 1] 1 where the face is drawn.
      skin: [V, H, W, 1] 1 where it shows skin, which is what is compared.
    """

    pictures: tf.Tensor
    face: tf.Tensor
    skin: tf.Tensor


def true_visibility(morphable: MorphableModel, camera: Camera, coefficients: tf.Tensor, crop: tf.Tensor) -> tf.Tensor:
    """Visibility [1, N] of the true face in its photo: 0 on vertices turned away, behind others, outside or occluded.

    Args:
      morphable: the face model.
      camera: of the crop.
      coefficients: [1, K] true ones.
      crop: [1, H, W, 4] RGBA in [0, 1]; alpha is 0 on occluders.
    """
    face = morphable.posed(coefficients, camera)
    fragments = rasterize(camera.clip_coordinates(face.vertices), morphable.triangles, camera.image_size)
    sampled = zbuffer_projection(
        crop[..., :3], crop[..., 3:], camera, camera.project(face.vertices), face.vertices, face.normals,
        morphable.triangles, fragments,
    )  # fmt: skip
    return sampled.visibility[..., 0]


def new_light(index: int, skin: np.ndarray) -> np.ndarray:
    """[27] light of record `index` in the new views, drawn from the same distribution as the photos' lights.

    Args:
      index: another record, another light.
      skin: [S, 3] true albedo; the light is metered for it, as a camera would.
    """
    tone = float(skin.mean(axis=0) @ LUMINANCE)
    return sample_light(np.random.default_rng([_LIGHTS, index]), tone).coefficients.astype(np.float32)


def render_new_views(
    morphable: MorphableModel, camera: Camera, coefficients: tf.Tensor, light: tf.Tensor, albedos: tf.Tensor
) -> NewViews:
    """Draws albedos on the true shape, turned 30 and 60 degrees to the side that the photo shows less of.

    The head is upright in the middle of the picture, with the photo's expression.

    Args:
      morphable: the face model.
      camera: of the pictures.
      coefficients: [1, K] true ones; their yaw decides on the side that the photo shows.
      light: [1, 27] spherical harmonics.
      albedos: [A, N, 3] RGB in [0, 1].
    """
    parts = morphable.layout.split(coefficients)
    yaw = parts.angles[:, 1]
    other_side = tf.where(yaw > 0, -1.0, 1.0)
    turned = other_side * tf.constant(np.radians(NEW_YAWS), tf.float32)
    views, count = len(NEW_YAWS), albedos.shape[0]
    angles = tf.stack([tf.zeros(views), turned, tf.zeros(views)], axis=-1)
    shape = tf.repeat(morphable.shape(parts.identity, parts.expression), views, axis=0)
    vertices = tf.matmul(shape, rotation_matrix(angles))
    arriving = shading(morphable.normals(vertices), tf.repeat(light, views, axis=0))
    colours = tf.clip_by_value(albedos[None] * arriving[:, None], 0.0, 1.0)
    colours = tf.reshape(tf.transpose(colours, [0, 2, 1, 3]), [views, morphable.vertex_count, 3 * count])
    skin = tf.repeat(morphable.skin_mask[None, :, None], views, axis=0)
    fragments = rasterize(camera.clip_coordinates(vertices), morphable.triangles, camera.image_size)
    drawn = interpolate(tf.concat([colours, skin], axis=-1), morphable.triangles, fragments)
    height, width = camera.image_size
    pictures = tf.reshape(drawn[..., :-1], [views, height, width, count, 3])
    return NewViews(
        pictures=tf.transpose(pictures, [0, 3, 1, 2, 4]),
        face=fragments.mask,
        skin=tf.cast(drawn[..., -1:] >= 0.5, tf.float32),
    )
