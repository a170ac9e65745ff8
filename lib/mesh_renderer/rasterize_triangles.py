"""Rasterisation with the names, arguments and conventions of mesh-renderer's rasterize_triangles.

Images here are y-up: row 0 is the BOTTOM, as in that package; in fragments.py, which does the work, row 0 is the top.
Triangles, silhouettes, depth order and clip z get no gradient.
"""

from types import SimpleNamespace
from typing import NamedTuple

import tensorflow as tf

from lib.mesh_renderer import camera_utils, fragments


class RasterizedTriangles(NamedTuple):
    """Result of `rasterize_triangles`, with a leading batch dimension if the vertices have one.

    Attributes:
      barycentric_coordinates: [H, W, 3] perspective-correct, in the order of the triangle's corners; 0 in the
        background. Differentiable in the vertices.
      triangle_ids: [H, W] int32, 0 also in the background, so that every id is a valid index.
      z_buffer: [H, W] depth z/w in [-1, 1], 1 in the background.
    """

    barycentric_coordinates: tf.Tensor
    triangle_ids: tf.Tensor
    z_buffer: tf.Tensor


def rasterize(
    world_space_vertices, attributes, triangles, camera_matrices, image_width, image_height, background_value
) -> tf.Tensor:
    """Renders vertex attributes of a mesh given in world space.

    Args:
      world_space_vertices: [B, N, 3].
      attributes: [B, N, C] float.
      triangles: [F, 3] vertex indices, either winding.
      camera_matrices: [B, 4, 4] from the world to clip space, for column vectors.
      image_width, image_height: pixels.
      background_value: [C] attributes of pixels outside every triangle.

    Returns:
      [B, H, W, C], row 0 at the bottom.

    Raises:
      ValueError: the image is empty, a rank is wrong, or a triangle names a vertex that does not exist.
    """
    clip_space_vertices = camera_utils.transform_homogeneous(camera_matrices, world_space_vertices)
    return rasterize_clip_space(clip_space_vertices, attributes, triangles, image_width, image_height, background_value)


def rasterize_clip_space(
    clip_space_vertices, attributes, triangles, image_width, image_height, background_value
) -> tf.Tensor:
    """`rasterize` for vertices in clip space, [B, N, 4] (x, y, z, w); otherwise same arguments, result and errors.

    Interpolation is perspective-correct; triangles are clipped at the planes of the viewing frustum.
    """
    image_size = check_image_size(image_width, image_height)
    clip_space_vertices = tf.convert_to_tensor(clip_space_vertices)
    if clip_space_vertices.shape.rank != 3:
        raise ValueError(f"clip_space_vertices must be [B, N, 4], got {clip_space_vertices.shape}")
    pixels = fragments.rasterize(clip_space_vertices, triangles, image_size)
    image = fragments.interpolate(attributes, triangles, pixels)
    background = tf.convert_to_tensor(background_value, image.dtype)
    return tf.reverse(image + (1 - tf.cast(pixels.mask, image.dtype)) * background, axis=[1])


def rasterize_triangles(vertices, triangles, image_width, image_height) -> RasterizedTriangles:
    """Computes barycentric coordinates, triangle and depth of every pixel.

    Args:
      vertices: [N, 4] clip coordinates (x, y, z, w), or [B, N, 4].
      triangles: [F, 3] vertex indices, either winding.
      image_width, image_height: pixels.

    Raises:
      ValueError: the image is empty, a rank is wrong, or a triangle names a vertex that does not exist.
    """
    image_size = check_image_size(image_width, image_height)
    vertices, triangles = tf.convert_to_tensor(vertices), tf.convert_to_tensor(triangles, tf.int32)
    if vertices.shape.rank not in (2, 3):
        raise ValueError(f"vertices must be [N, 4] or [B, N, 4], got {vertices.shape}")
    batch = vertices if vertices.shape.rank == 3 else vertices[None]
    ids, depth = fragments.triangle_ids_and_depth(batch, triangles, image_size)
    barycentrics = fragments.fragments_of(batch, triangles, ids).barycentrics
    images = [tf.reverse(image, axis=[1]) for image in (barycentrics, tf.maximum(ids, 0), depth)]
    return RasterizedTriangles(*(images if vertices.shape.rank == 3 else [image[0] for image in images]))


# In the package, the compiled operator was called as rasterize_triangles_module.rasterize_triangles.
rasterize_triangles_module = SimpleNamespace(rasterize_triangles=rasterize_triangles)


def check_image_size(image_width, image_height):
    """Returns (H, W) of an image; raises ValueError if it has no pixels."""
    if not image_width > 0:
        raise ValueError(f"image_width must be > 0, got {image_width}")
    if not image_height > 0:
        raise ValueError(f"image_height must be > 0, got {image_height}")
    return int(image_height), int(image_width)
