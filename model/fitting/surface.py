"""Visible part of posed faces for the photometric and outline terms; constant between updates of visibility."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.images.sampling import sample_image
from lib.mesh_renderer.fragments import triangle_ids_and_depth
from lib.tensor_structure import TensorStructure
from model.fitting.outline import Outline, OutlinePairs, pair_outline
from model.morphable_model import MorphableModel

# Vertices seen at a flatter angle than this cosine carry no colour.
GRAZING = 0.15
# A vertex farther behind what is seen at its pixel (decimetres) is hidden.
DEPTH_SLACK = 0.06


@dataclasses.dataclass(frozen=True)
class Surface(TensorStructure):
    """The visible part of a batch of posed faces.

    Attributes:
      weight: [B, N] projected area of each vertex times the mask, 0 where hidden.
      pairs: silhouette vertices and the mask's outline.
    """

    weight: tf.Tensor
    pairs: OutlinePairs


@dataclasses.dataclass(frozen=True)
class VisibleVertices:
    """What the camera sees of a batch of posed faces.

    Attributes:
      weight: [B, N] projected area of each vertex times the mask, 0 where hidden.
      triangle_ids: [B, H, W] the triangle at each pixel, -1 in the background.
      points: [B, N, 2] projected vertices, pixels.
    """

    weight: tf.Tensor
    triangle_ids: np.ndarray
    points: tf.Tensor


def visible_surface(
    model: MorphableModel, camera: Camera, coefficients: tf.Tensor, alpha: tf.Tensor, outlines: Sequence[Outline]
) -> Surface:
    """Weights of the visible vertices, and the silhouette's pairs with the outlines.

    Args:
      model: the face model.
      camera: camera of the crops.
      coefficients: [B, K].
      alpha: [B, H, W, 1] masks.
      outlines: of the masks, one for each.
    """
    visible = visible_weights(model, camera, coefficients, alpha)
    return Surface(
        weight=visible.weight,
        pairs=pair_outline(outlines, visible.triangle_ids, model.triangles.numpy(), visible.points.numpy()),
    )


def visible_weights(
    model: MorphableModel, camera: Camera, coefficients: tf.Tensor, alpha: tf.Tensor
) -> VisibleVertices:
    """Weights of the visible vertices of the faces with coefficients [B, K] inside masks [B, H, W, 1]."""
    _, vertices, normals = model.placed(model.layout.split(coefficients))
    clip, size = camera.clip_coordinates(vertices), camera.image_size
    ids, z = triangle_ids_and_depth(clip, model.triangles, size)
    corners = tf.gather(vertices, model.triangles, axis=1)
    cross = tf.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    areas = tf.maximum(cross[..., 2], 0.0) / 6  # a third of the area seen from the front for each corner
    count = model.vertex_count
    triangles = model.triangles.numpy()
    seen = np.zeros([len(ids), len(triangles) + 1], bool)
    for row, image in zip(seen, ids.numpy(), strict=True):
        row[image] = True  # -1, the background, is the last entry
    visible = np.zeros([len(seen), count], np.float32)
    area = np.zeros([len(seen), count], np.float32)
    for row, of_triangle, sizes, total in zip(visible, seen, areas.numpy(), area, strict=True):
        row[triangles[of_triangle[:-1]]] = 1
        total[:] = np.bincount(triangles.ravel(), np.repeat(sizes, 3), count)
    points = camera.project(vertices)
    # Beyond the image the border's pixels would be repeated.
    inside = tf.reduce_all((points > 0.5) & (points < tf.constant(size[::-1], tf.float32) - 0.5), axis=-1)
    # A triangle seen in part has corners behind what hides the rest.
    depth = camera.depth(vertices)
    seen_depth = camera.depth_of_clip(z)[..., None]
    in_front = depth <= sample_image(seen_depth, points, "nearest")[..., 0] + DEPTH_SLACK
    usable = tf.cast(inside & in_front & (normals[..., 2] > GRAZING), tf.float32)
    masked = usable * sample_image(alpha, points)[..., 0]
    return VisibleVertices(weight=visible * area * masked, triangle_ids=ids.numpy(), points=points)
