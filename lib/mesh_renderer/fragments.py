"""The renderer's core: rasterise once, then interpolate any number of attributes.

    fragments = rasterize(clip_vertices, triangles, image_size)
    image = interpolate(vertex_colours, triangles, fragments)

The index of the visible triangle has no gradient, so silhouettes and depth order contribute none. All later steps use
TensorFlow's automatic differentiation. All functions run eagerly and inside a tf.function, with any batch size, even
one unknown during tracing. An enclosing tf.function must not be jit-compiled, because numba computes visibility on the
CPU. The TensorFlow parts are jit-compiled here, which halves the time of a forward step and quarters that of a step
with gradients. The compilation takes as long as a hundred pictures; `uncompiled` avoids it.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.mesh_renderer import visibility
from lib.tensor_structure import TensorStructure

# If a triangle's extent relative to the products in its edge functions is below this, float32 cannot distinguish its
# corners; such a pixel takes the corners' mean and passes no gradient to the vertices.
SLIVER = 1e-6


_compiled: ContextVar[bool] = ContextVar("compiled rendering", default=True)


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Context manager in which this thread's renderings are not jit-compiled, for programs that draw few pictures."""
    token = _compiled.set(False)
    try:
        yield
    finally:
        _compiled.reset(token)


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
    barycentrics = _compiled_barycentrics if _compiled.get() else _barycentrics
    return Fragments(ids, barycentrics(clip_vertices, triangles, ids), mask)


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
    triangles = tf.convert_to_tensor(triangles, tf.int32)
    weighted = _compiled_interpolate if _compiled.get() else _interpolate
    return weighted(attributes, triangles, fragments.triangle_id, fragments.barycentrics)


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


def _corners(values, triangles, ids):
    """Values [B, N, C] at the three corners of each pixel's triangle, three of [B, H, W, C]; triangle 0 for ids < 0."""
    vertex_ids = tf.gather(triangles, tf.maximum(ids, 0))
    # A single gather of all three corners runs as fast as three gathers and compiles in two thirds of the time.
    return tf.unstack(tf.gather(values, vertex_ids, batch_dims=1), axis=3)


def _barycentrics(clip_vertices, triangles, ids):
    """Barycentrics [B, H, W, 3] at the pixel centres, 0 where ids < 0."""
    height, width = ids.shape[1:]
    dtype = clip_vertices.dtype
    px = tf.constant((2 * np.arange(width) + 1) / width - 1, dtype)
    py = tf.constant(1 - (2 * np.arange(height)[:, None] + 1) / height, dtype)
    # Use coordinates relative to the pixel: triple products of absolute coordinates would lose the fifth digit to
    # cancellation.
    x, y = [], []
    for corner in _corners(clip_vertices, triangles, ids):
        x.append(corner[..., 0] - px * corner[..., 3])
        y.append(corner[..., 1] - py * corner[..., 3])
    forward = [x[(i + 1) % 3] * y[(i + 2) % 3] for i in range(3)]
    backward = [x[(i + 2) % 3] * y[(i + 1) % 3] for i in range(3)]
    edges = tf.stack([f - b for f, b in zip(forward, backward, strict=True)], axis=-1)
    total = tf.reduce_sum(edges, axis=-1, keepdims=True)
    magnitude = tf.add_n([tf.abs(product) for product in forward + backward])[..., None]
    regular = tf.abs(total) > SLIVER * magnitude
    drawn = ids[..., None] >= 0
    # Replace the denominator before dividing: a zero in the branch not taken by tf.where still makes the gradient NaN.
    safe = tf.where(drawn & regular, total, tf.ones_like(total))
    return tf.where(drawn, tf.where(regular, edges / safe, tf.constant(1 / 3, dtype)), tf.constant(0, dtype))


def _interpolate(attributes, triangles, ids, barycentrics):
    """Weighted corner attributes [B, H, W, C]."""
    barycentrics = tf.cast(barycentrics, attributes.dtype)
    corners = _corners(attributes, triangles, ids)
    return tf.add_n([barycentrics[..., corner, None] * value for corner, value in enumerate(corners)])


_compiled_barycentrics = tf.function(_barycentrics, jit_compile=True, autograph=False)
_compiled_interpolate = tf.function(_interpolate, jit_compile=True, autograph=False)
