"""Visible part of posed faces for the photometric and outline terms; constant between updates of visibility."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.images.sampling import sample_image
from lib.mesh_renderer.fragments import triangle_ids_and_depth
from lib.runtime.graph_optimizer import unoptimized_graphs
from lib.runtime.stored_function import StoredFunction, tensors_of
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

    @classmethod
    def blank(cls, model: MorphableModel, size: int) -> "Surface":
        """The surface of a crop that shows nothing."""
        outline = Outline(np.zeros([0, 2], np.float32), np.zeros([0, 2], np.float32))
        nothing, count = np.full([1, size, size], -1), model.vertex_count
        pairs = pair_outline([outline], nothing, model.face_model.triangles, np.zeros([1, count, 2]))
        return cls(tf.zeros([1, count]), pairs)


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


class SurfaceSteps:
    """The parts of `visible_weights` that TensorFlow computes, before and after the rasterisation.

    Args:
      model: the face model.
      camera: camera of the crops.
      graphs: folder where the traced steps for single crops are kept for the next start; None to run them eagerly.
    """

    def __init__(self, model: MorphableModel, camera: Camera, graphs: Path | None = None):
        self.model, self.camera = model, camera
        self._stored: tuple[StoredFunction, StoredFunction] | None = None
        if graphs is not None:
            fingerprint = model.face_model.fingerprint
            key = {"face model": fingerprint, "normals": model.normal_weighting, "camera": repr(camera)}
            constants = tensors_of("model", model)
            self._stored = (
                StoredFunction("place", self._place, constants, key, graphs),
                StoredFunction("see", self._see, constants, key, graphs),
            )

    def place(self, coefficients: tf.Tensor) -> list[tf.Tensor]:
        """Faces with coefficients [B, K].

        Returns:
          Clip coordinates [B, N, 4], a third of the area [B, F] of each triangle as seen from the front, projected
          vertices [B, N, 2], their depth [B, N], and whether they face the camera inside the image [B, N].
        """
        return self._run(0, self._place, coefficients)

    def see(self, depth: tf.Tensor, points: tf.Tensor, facing: tf.Tensor, z: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """Values [B, N] of masks alpha [B, H, W, 1] at the vertices, 0 where the z [B, H, W] of pixels hides them."""
        return self._run(1, self._see, depth, points, facing, z, alpha)[0]

    def _run(self, step: int, function: Callable[..., list[tf.Tensor]], *arguments: tf.Tensor) -> list[tf.Tensor]:
        if self._stored is None or len(arguments[0]) != 1:
            return function(*arguments)
        with unoptimized_graphs():
            return self._stored[step](*arguments)

    def _place(self, coefficients: tf.Tensor) -> list[tf.Tensor]:
        model, camera = self.model, self.camera
        _, vertices, normals = model.placed(model.layout.split(coefficients))
        corners = tf.gather(vertices, model.triangles, axis=1)
        cross = tf.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        areas = tf.maximum(cross[..., 2], 0.0) / 6  # a third of the area seen from the front for each corner
        points = camera.project(vertices)
        # Beyond the image the border's pixels would be repeated.
        last = tf.constant(camera.image_size[::-1], tf.float32) - 0.5
        inside = tf.reduce_all((points > 0.5) & (points < last), axis=-1)
        facing = inside & (normals[..., 2] > GRAZING)
        return [camera.clip_coordinates(vertices), areas, points, camera.depth(vertices), facing]

    def _see(self, depth, points, facing, z, alpha) -> list[tf.Tensor]:
        # A triangle seen in part has corners behind what hides the rest.
        seen_depth = self.camera.depth_of_clip(z)[..., None]
        in_front = depth <= sample_image(seen_depth, points, "nearest")[..., 0] + DEPTH_SLACK
        return [tf.cast(facing & in_front, tf.float32) * sample_image(alpha, points)[..., 0]]


def visible_surface(
    steps: SurfaceSteps, coefficients: tf.Tensor, alpha: tf.Tensor, outlines: Sequence[Outline]
) -> Surface:
    """Weights of the visible vertices, and the silhouette's pairs with the outlines.

    Args:
      steps: of the face model and the camera.
      coefficients: [B, K].
      alpha: [B, H, W, 1] masks.
      outlines: of the masks, one for each.
    """
    visible, triangles = visible_weights(steps, coefficients, alpha), steps.model.face_model.triangles
    return Surface(
        weight=visible.weight,
        pairs=pair_outline(outlines, visible.triangle_ids, triangles, visible.points.numpy()),
    )


def visible_weights(steps: SurfaceSteps, coefficients: tf.Tensor, alpha: tf.Tensor) -> VisibleVertices:
    """Weights of the visible vertices of the faces with coefficients [B, K] inside masks [B, H, W, 1]."""
    model, size = steps.model, steps.camera.image_size
    clip, areas, points, depth, facing = steps.place(coefficients)
    ids, z = triangle_ids_and_depth(clip, model.triangles, size)
    triangles, count, triangle_ids = model.face_model.triangles, model.vertex_count, ids.numpy()
    seen = np.zeros([len(triangle_ids), len(triangles) + 1], bool)
    for row, image in zip(seen, triangle_ids, strict=True):
        row[image] = True  # -1, the background, is the last entry
    visible = np.zeros([len(seen), count], np.float32)
    area = np.zeros([len(seen), count], np.float32)
    for row, of_triangle, sizes, total in zip(visible, seen, areas.numpy(), area, strict=True):
        row[triangles[of_triangle[:-1]]] = 1
        total[:] = np.bincount(triangles.ravel(), np.repeat(sizes, 3), count)
    masked = steps.see(depth, points, facing, z, alpha)
    return VisibleVertices(weight=visible * area * masked, triangle_ids=triangle_ids, points=points)
