"""Pictures of a face from other sides, textured with the photo's own detail."""

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lib.errors import UserError
from lib.geometry.camera import Camera
from lib.geometry.lighting import BANDS, shading
from lib.geometry.rotation import rotation_matrix
from lib.images.holes import without_holes
from lib.mesh_export.uv_chart import UvChart
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.mesh_renderer.textured import draw_textured
from model.face_gcn import FaceReconstruction
from model.morphable_model import MorphableModel

# Yaw angles (radians) of the new views, and side [px] of their pictures.
NEW_VIEWS = (-0.6, 0.6)
VIEW_SIZE = 600
LARGEST_VIEW = 4096
# Half the diagonal [dm] of the box of the largest face; larger meshes are whole heads.
LARGEST_FACE = 1.6
# Space [dm] for the hair of whole heads, beyond the low and the high corner of their box.
HAIR = np.array([[-0.3, 0.0, -0.3], [0.3, 0.3, 0.0]], np.float32)
# Direction of the light on the picture of the bare shape.
STUDIO_LIGHT = np.array([-0.35, 0.4, 0.85]) / np.linalg.norm([-0.35, 0.4, 0.85])


def checked_light(light: Any) -> np.ndarray:
    """The light of a view, float32 [27]; raises UserError unless it is [3, 9] finite numbers."""
    try:
        light = np.asarray(light, np.float32)
    except (TypeError, ValueError):
        raise UserError(f"light must be [3, {BANDS}] numbers, got {type(light).__name__}") from None
    if light.shape != (3, BANDS):
        raise UserError(f"light must be [3, {BANDS}], got {list(light.shape)}")
    if not np.isfinite(light).all():
        raise UserError(f"light must be finite, got {np.count_nonzero(~np.isfinite(light))} numbers that are not")
    return light.reshape(-1)


def resized(camera: Camera, size: Any) -> Camera:
    """The camera with square pictures of another side [px]; raises UserError unless it is 1 to `LARGEST_VIEW`."""
    try:
        side = operator.index(size)
    except TypeError:
        side = 0
    if not 1 <= side <= LARGEST_VIEW:
        raise UserError(f"size must be a whole number from 1 to {LARGEST_VIEW}, got {size!r:.60}")
    return dataclasses.replace(camera, image_size=(side, side))


def turned_view(
    morphable: MorphableModel,
    chart: UvChart,
    shape: np.ndarray,
    texture: np.ndarray,
    angles: Sequence[float],
    camera: Camera,
    light: np.ndarray | None = None,
    complete: bool = True,
) -> np.ndarray:
    """Draws a textured face in the middle of the picture, rotated.

    Args:
      morphable: the face model, and its `chart`.
      shape: [N, 3] the face without pose.
      texture: uint8 [T, T, 3], row 0 at v = 1.
      angles: pitch, yaw and roll, radians.
      camera: with square pictures.
      light: [27] spherical harmonics to light the texture with; None to show its own colours.
      complete: whether heads that are larger than usual are drawn smaller, so that the picture shows all of them.

    Returns:
      float32 [S, S, 4] RGBA in [0, 1]; alpha is the face's share of each pixel.
    """
    turned, placed = turned_mesh(
        morphable, tf.constant(shape[None]), tf.constant([angles], tf.float32), camera, complete
    )
    clip = placed[0].numpy()[chart.vertex]
    arriving = None
    if light is not None:
        normals = morphable.normals(turned)
        arriving = shading(normals, tf.constant(light[None], tf.float32))[0].numpy()[chart.vertex]
    return draw_textured(clip, chart.triangles, chart.uv, texture, camera.image_size[0], arriving)


def turned_mesh(
    morphable: MorphableModel, shape: tf.Tensor, angles: tf.Tensor, camera: Camera, complete: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Vertices [B, N, 3] of a mesh in other poses, and their clip coordinates [B, N, 4] in the middle of the picture.

    Args:
      morphable: the face model.
      shape: [B, N, 3] without pose.
      angles: [B, 3] pitch, yaw and roll, radians.
      camera: of the crops.
      complete: see `turned_view`; the first shape decides.
    """
    framed, middle = framing(morphable.face_model.mean_shape, camera, shape[0].numpy() if complete else None)
    rotation = rotation_matrix(angles)
    turned = tf.matmul(shape - middle, rotation)
    clip = framed.clip_coordinates(turned)
    if framed != camera:
        return turned, clip
    # A head stays where it is when it turns. The front of a head, turned about its origin, would leave the picture. The
    # mean face decides how far it is moved back, so that pictures of one face with several expressions match.
    mean = framed.clip_coordinates(tf.matmul(morphable.face_model.mean_shape[None], rotation))
    return turned, _centred(clip, mean)


def _centred(clip: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    """Clip coordinates [B, N, 4], moved within the picture so that the mean face, [B, N, 4], is in the middle.

    As much of it is then free on the left as on the right, and above as below. The picture shows the same side of the
    mesh as before.
    """
    places = mean[..., :2] / mean[..., 3:]
    middle = (tf.reduce_min(places, axis=1, keepdims=True) + tf.reduce_max(places, axis=1, keepdims=True)) / 2
    return tf.concat([clip[..., :2] - middle * clip[..., 3:], clip[..., 2:]], axis=-1)


def framing(mean_shape: np.ndarray, camera: Camera, shape: np.ndarray | None = None) -> tuple[Camera, np.ndarray]:
    """Camera and middle [3] of pictures of a mesh in any pose: whole heads are shown smaller, about their middle.

    Args:
      mean_shape: [N, 3] of the face model.
      camera: of the crops, which shows a face that is turned about its origin.
      shape: [N, 3] without pose, of which the pictures show all: long hair may reach farther than the mean head.

    Raises:
      UserError: the camera is inside a head that turns about its middle.
    """
    low, high = mean_shape.min(axis=0), mean_shape.max(axis=0)
    if np.linalg.norm(high - low) / 2 <= LARGEST_FACE:
        return camera, np.zeros(3, np.float32)
    middle = (low + HAIR[0] + high + HAIR[1]) / 2
    radius = float(np.linalg.norm(mean_shape - middle, axis=1).max())
    if camera.distance <= radius:
        raise UserError(
            f"camera.distance must be more than {radius:.1f} dm for a head of this size, got {camera.distance:g} "
            "(give the distance of your crops' camera, or export.area=face)"
        )
    if shape is not None:
        # Halfway to the camera at most.
        reach = float(np.linalg.norm(shape - middle, axis=1).max())
        radius = max(radius, min(reach, (radius + camera.distance) / 2))
    # A sphere looks larger than its middle plane: its outline is where rays from the camera touch it.
    focal_ratio = 0.5 * math.sqrt(camera.distance**2 - radius**2) / radius
    return dataclasses.replace(camera, focal_ratio=focal_ratio), middle


def shape_view(morphable: MorphableModel, result: FaceReconstruction, camera: Camera) -> np.ndarray:
    """The shape without texture in the photo's pose, as `framing` shows it: RGBA [H, W, 4] in [0, 1].

    A face is where it is in the photo, a whole head in the middle.
    """
    light, face = tf.constant(STUDIO_LIGHT[:, None], tf.float32), result.coarse.face
    grey = 0.15 + 0.8 * tf.maximum(face.normals @ light, 0) * tf.ones([1, 1, 3])
    framed, middle = framing(morphable.face_model.mean_shape, camera, face.shape[0].numpy())
    fragments = result.coarse.fragments
    if framed != camera:
        vertices = tf.matmul(face.shape - middle, rotation_matrix(face.coefficients.angles))
        fragments = rasterize(framed.clip_coordinates(vertices), morphable.triangles, framed.image_size)
    shape = interpolate(grey, morphable.triangles, fragments)
    return np.concatenate([shape[0], without_holes(fragments.mask[0].numpy())], axis=-1)


def new_views(
    morphable: MorphableModel, chart: UvChart, result: FaceReconstruction, lit: np.ndarray, camera: Camera
) -> dict[str, np.ndarray]:
    """Pictures by title: the bare shape as in the photo, and the lit texture [T, T, 3] from both sides."""
    views = {"shape": shape_view(morphable, result, camera)}
    large = dataclasses.replace(camera, image_size=(VIEW_SIZE, VIEW_SIZE))
    for yaw in NEW_VIEWS:
        turned = turned_view(morphable, chart, result.coarse.face.shape[0].numpy(), lit, (0.0, yaw, 0.0), large)
        views[f"yaw {np.degrees(yaw):+.0f}"] = turned
    return views
