"""The renderer's core: rasterise once, then interpolate any number of attributes.

    fragments = rasterize(clip_vertices, triangles, image_size)
    image = interpolate(vertex_colours, triangles, fragments)

The index of the visible triangle has no gradient, so silhouettes and depth order contribute none. Everything else is
differentiable once, by a kernel for each gradient (`lib.mesh_renderer.kernels`). All functions run eagerly and inside a
tf.function, with any batch size, even one unknown during tracing. An enclosing tf.function must not be jit-compiled,
because numba's kernels run on the CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.mesh_renderer import kernels, visibility
from lib.tensor_structure import TensorStructure


@dataclass(frozen=True)
class Fragments(TensorStructure):
    """The triangle and barycentrics at the centre of every pixel; row 0 is the top.

    Attributes:
      triangle_id: [B, H, W] int32, index of the visible triangle, -1 in the background.
      barycentrics: [B, H, W, 3] perspective-correct weights of the triangle's corners, sum 1; 0 in the background.
        Differentiable with respect to x, y, w of the clip coordinates.
      mask: [B, H, W, 1] 1 where a triangle is visible, otherwise 0; no gradient.
    """

    triangle_id: tf.Tensor
    barycentrics: tf.Tensor
    mask: tf.Tensor


def rasterize(clip_vertices, triangles, image_size: tuple[int, int]) -> Fragments:
    """Computes the visible triangle, barycentrics and coverage of every pixel.

    Args:
      clip_vertices: [B, N, 4] float clip coordinates (x right, y up; visible if |x|, |y|, |z| <= w; near at z = -w).
      triangles: [F, 3] vertex indices; both windings are drawn, a later triangle wins at equal depth.
      image_size: (H, W) pixels.

    Raises:
      ValueError: a shape or the image size is wrong, or a vertex index is out of range.
      InvalidArgumentError: a vertex index is out of range, if that is detected only when a graph runs.
    """
    clip_vertices, triangles = _check(clip_vertices, triangles, image_size)
    ids, _ = _visible(clip_vertices, triangles, image_size)
    return fragments_of(clip_vertices, triangles, ids)


def triangle_ids(clip_vertices, triangles, image_size: tuple[int, int]) -> tf.Tensor:
    """Visible triangle of every pixel, [B, H, W] int32, -1 in the background; arguments and errors of `rasterize`."""
    clip_vertices, triangles = _check(clip_vertices, triangles, image_size)
    return _visible(clip_vertices, triangles, image_size)[0]


def triangle_ids_and_depth(clip_vertices, triangles, image_size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """`triangle_ids` and the depth z/w [B, H, W] at every pixel, in [-1, 1], 1 in the background; no gradient."""
    clip_vertices, triangles = _check(clip_vertices, triangles, image_size)
    return _visible(clip_vertices, triangles, image_size)


def fragments_of(clip_vertices, triangles, ids) -> Fragments:
    """Fragments for known triangle ids.

    Args:
      clip_vertices: [B, N, 4] as in `rasterize`.
      triangles: [F, 3] int32.
      ids: [B, H, W] int32, static H and W; from `triangle_ids` for the same geometry.
    """
    mask = tf.cast(ids[..., None] >= 0, clip_vertices.dtype)
    return Fragments(ids, _barycentrics(clip_vertices, triangles, ids), mask)


def interpolate(attributes, triangles, fragments: Fragments) -> tf.Tensor:
    """Interpolates vertex attributes at every pixel.

    Args:
      attributes: [B, N, C] float.
      triangles: [F, 3] vertex indices, as passed to `rasterize`.
      fragments: result of `rasterize`.

    Returns:
      [B, H, W, C], 0 in the background; differentiable in the attributes and, through the barycentrics, the vertices.
    """
    attributes = tf.convert_to_tensor(attributes)
    if attributes.shape.rank != 3:
        raise ValueError(f"attributes must be [B, N, C], got {attributes.shape.as_list()}")
    triangles = tf.cast(tf.convert_to_tensor(triangles), tf.int32)
    barycentrics = tf.cast(fragments.barycentrics, attributes.dtype)
    return _interpolate(attributes, triangles, fragments.triangle_id, barycentrics)


def gather_at_corners(values, triangles, fragments: Fragments, vertex_count: int) -> tf.Tensor:
    """Adds pixel values to the corners of the triangles the pixels show, weighted by barycentrics.

    This is the transpose of `interpolate`.

    Args:
      values: [B, H, W, C] float.
      triangles: [F, 3] vertex indices.
      fragments: of the same pixels.
      vertex_count: N.

    Returns:
      [B, N, C]; differentiable in the values and, through the barycentrics, the vertices.
    """
    values = tf.convert_to_tensor(values)
    triangles = tf.cast(tf.convert_to_tensor(triangles), tf.int32)
    barycentrics = tf.cast(fragments.barycentrics, values.dtype)
    return _gather_at_corners(values, triangles, fragments.triangle_id, barycentrics, vertex_count)


def _check(clip_vertices, triangles, image_size):
    """Converts the arguments to tensors and checks them; see `rasterize` for the errors."""
    clip_vertices = tf.convert_to_tensor(clip_vertices)
    if clip_vertices.shape.rank != 3 or clip_vertices.shape[2] not in (4, None):
        raise ValueError(f"clip_vertices must be [B, N, 4], got {clip_vertices.shape}")
    if clip_vertices.dtype not in (tf.float32, tf.float64):
        raise ValueError(f"clip_vertices must be float32 or float64, got {clip_vertices.dtype.name}")
    triangles = tf.convert_to_tensor(triangles)
    if triangles.shape.rank != 2 or triangles.shape[1] not in (3, None) or triangles.shape[0] == 0:
        raise ValueError(f"triangles must be [F, 3] with at least one row, got {triangles.shape}")
    if not triangles.dtype.is_integer:
        raise ValueError(f"triangles must be integers, got {triangles.dtype.name}")
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size must be (height, width), both at least 1, got {tuple(image_size)}")
    known = tf.get_static_value(triangles)
    if known is not None and clip_vertices.shape[1] is not None:
        visibility.check_indices(known, clip_vertices.shape[1])
    return clip_vertices, tf.cast(triangles, tf.int32)


def _visible(clip_vertices, triangles, image_size):
    """Ids [B, H, W] int32 and depth [B, H, W] from the compiled kernel."""
    height, width = (int(length) for length in image_size)

    def draw(vertices, corners):
        return visibility.visible_triangles(vertices, corners, (height, width))

    ids, depth = tf.numpy_function(
        draw, [tf.stop_gradient(clip_vertices), triangles], [tf.int32, clip_vertices.dtype], stateful=False
    )
    for result in (ids, depth):
        result.set_shape([clip_vertices.shape[0], height, width])
    return ids, depth


@tf.custom_gradient
def _barycentrics(clip_vertices, triangles, ids):
    """Barycentrics [B, H, W, 3] at the pixel centres, 0 where ids < 0."""

    def gradient(upstream):
        def run(corners, clip, ids, upstream):
            result = np.zeros(clip.shape, np.float64)
            kernels.each_image(kernels.barycentrics_gradient, corners, clip, ids, upstream, result)
            return result.astype(clip.dtype)

        inputs = [triangles, clip_vertices, ids, upstream]
        return _run(run, inputs, clip_vertices.dtype, clip_vertices.shape), None, None

    def run(corners, clip, ids):
        result = np.empty((*ids.shape, 3), clip.dtype)
        kernels.each_image(kernels.barycentrics, corners, clip, ids, result)
        return result

    return _run(run, [triangles, clip_vertices, ids], clip_vertices.dtype, [*ids.shape, 3]), gradient


@tf.custom_gradient
def _interpolate(attributes, triangles, ids, barycentrics):
    """Weighted corner attributes [B, H, W, C]."""

    def gradient(upstream):
        # Two calls, so that a graph computes only the gradients that are asked for.
        of_attributes = _gather_at_corners(upstream, triangles, ids, barycentrics, tf.shape(attributes)[1])
        of_attributes.set_shape(attributes.shape)
        return of_attributes, None, None, _weights_gradient(attributes, triangles, ids, upstream)

    def run(corners, attributes, ids, weights):
        result = np.empty((*ids.shape, attributes.shape[-1]), attributes.dtype)
        kernels.each_image(kernels.interpolation, corners, attributes, ids, weights, result)
        return result

    inputs = [triangles, attributes, ids, barycentrics]
    return _run(run, inputs, attributes.dtype, [*ids.shape, attributes.shape[-1]]), gradient


def _gather_at_corners(values, triangles, ids, barycentrics, vertex_count):
    """Sums [B, N, C] of weighted pixel values [B, H, W, C]."""

    @tf.custom_gradient
    def gather(values, barycentrics):
        def gradient(upstream):
            of_values = _interpolate(upstream, triangles, ids, barycentrics)
            return of_values, _weights_gradient(upstream, triangles, ids, values)

        def run(corners, ids, weights, values, count):
            result = np.zeros((len(values), count, values.shape[-1]), values.dtype)
            kernels.each_image(kernels.attributes_gradient, corners, ids, weights, values, result)
            return result

        count = vertex_count if isinstance(vertex_count, int) else None
        inputs = [triangles, ids, barycentrics, values, vertex_count]
        return _run(run, inputs, values.dtype, [values.shape[0], count, values.shape[-1]]), gradient

    return gather(values, barycentrics)


def _weights_gradient(attributes, triangles, ids, upstream):
    """Gradient [B, H, W, 3] of the barycentrics that interpolate attributes [B, N, C]; upstream [B, H, W, C]."""

    def run(corners, attributes, ids, upstream):
        result = np.empty((*ids.shape, 3), attributes.dtype)
        kernels.each_image(kernels.weights_gradient, corners, attributes, ids, upstream, result)
        return result

    return _run(run, [triangles, attributes, ids, upstream], attributes.dtype, [*ids.shape, 3])


def _run(function: Callable[..., np.ndarray], inputs: Sequence[tf.Tensor], dtype: tf.DType, shape) -> tf.Tensor:
    """A function of arrays as an operation without side effects, whose result has a known type and shape."""
    result = tf.numpy_function(function, inputs, dtype, stateful=False)
    result.set_shape(shape)
    return result
