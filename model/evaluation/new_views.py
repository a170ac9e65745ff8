"""Views of a true face that its photo does not show, and the visibility of its vertices in the photo.

True and reconstructed face have the same mesh topology, so the true albedo (including skin detail) and a reconstructed
one can both be rendered on the true shape, in the same pose and light. Only the texture differs then: errors of shape
and pose count if they moved colours to wrong vertices, but not as shifted outlines. Light and albedo are not rescaled:
a face that was reconstructed too dark under too bright a light looks right in its photo, but too dark here.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.synthetic.appearance.sampling_priors import LUMINANCE
from lib.synthetic.rendering.lights import sample_light
from lib.tensor_structure import TensorStructure
from model.morphable_model import MorphableModel
from model.projection import zbuffer_projection
from model.reconstruction.new_views import turned_mesh

NEW_YAWS = (30.0, 60.0)  # degrees, away from the side that the photo shows
_LIGHTS = 7919  # seed of the new lights, used for nothing else


@dataclass(frozen=True)
class NewViews(TensorStructure):
    """Renderings of A textures in V views that the photo does not show.

    Attributes:
      pictures: [V, A, H, W, 3] RGB in [0, 1], one for each albedo; 0 in the background.
      face: [V, H, W, 1], 1 on the face.
      skin: [V, H, W, 1], 1 on skin, where pictures are compared.
    """

    pictures: tf.Tensor
    face: tf.Tensor
    skin: tf.Tensor


def true_visibility(morphable: MorphableModel, camera: Camera, coefficients: tf.Tensor, crop: tf.Tensor) -> tf.Tensor:
    """Visibility [1, N] of the true face in its photo: 0 for vertices that face away, are hidden, or lie outside.

    Args:
      morphable: the face model.
      camera: camera of the crop.
      coefficients: [1, K] true coefficients.
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
    """Light [27] of record `index` in the new views, drawn from the same distribution as the photos' light.

    Args:
      index: index of the record; every record has a different light.
      skin: [S, 3] true albedo, for which the exposure is set as a camera would.
    """
    tone = float(skin.mean(axis=0) @ LUMINANCE)
    return sample_light(np.random.default_rng([_LIGHTS, index]), tone).coefficients.astype(np.float32)


def new_view_angles(angles: tf.Tensor) -> tf.Tensor:
    """Pitch, yaw and roll [V, 3] of the new views of a face with the true angles [1, 3]."""
    other_side = tf.where(angles[:, 1] > 0, -1.0, 1.0)
    turned = other_side * tf.constant(np.radians(NEW_YAWS), tf.float32)
    return tf.stack([tf.zeros_like(turned), turned, tf.zeros_like(turned)], axis=-1)


def render_new_views(
    morphable: MorphableModel, camera: Camera, coefficients: tf.Tensor, light: tf.Tensor, albedos: tf.Tensor
) -> NewViews:
    """Renders albedos on the true shape, turned by 30 and 60 degrees to show the side that the photo shows less of.

    The head is upright in the middle of the picture, with the photo's expression; whole heads are shown smaller.

    Args:
      morphable: the face model.
      camera: camera of the pictures.
      coefficients: [1, K] true coefficients; the sign of their yaw gives the side that the photo shows.
      light: [1, 27] spherical harmonics.
      albedos: [A, N, 3] RGB in [0, 1].
    """
    parts = morphable.layout.split(coefficients)
    views, count = len(NEW_YAWS), albedos.shape[0]
    angles = new_view_angles(parts.angles)
    shape = tf.repeat(morphable.shape(parts.identity, parts.expression), views, axis=0)
    vertices, clip = turned_mesh(morphable, shape, angles, camera, complete=False)
    arriving = shading(morphable.normals(vertices), tf.repeat(light, views, axis=0))
    colours = tf.clip_by_value(albedos[None] * arriving[:, None], 0.0, 1.0)
    colours = tf.reshape(tf.transpose(colours, [0, 2, 1, 3]), [views, morphable.vertex_count, 3 * count])
    skin = tf.repeat(morphable.skin_mask[None, :, None], views, axis=0)
    fragments = rasterize(clip, morphable.triangles, camera.image_size)
    drawn = interpolate(tf.concat([colours, skin], axis=-1), morphable.triangles, fragments)
    height, width = camera.image_size
    pictures = tf.reshape(drawn[..., :-1], [views, height, width, count, 3])
    return NewViews(
        pictures=tf.transpose(pictures, [0, 3, 1, 2, 4]),
        face=fragments.mask,
        skin=tf.cast(drawn[..., -1:] >= 0.5, tf.float32),
    )
