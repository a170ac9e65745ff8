"""Pictures of textured meshes, anti-aliased; without gradients."""

import cv2
import numpy as np

from lib.mesh_renderer import kernels
from lib.mesh_renderer.visibility import visible_in_rows

# Least number of samples per pixel and side. Small pictures take more, so that no texel is skipped.
LEAST_SAMPLES = 2
# Pictures are drawn in bands of at most this many samples, which bounds the memory to about 100 MB beyond the picture.
BAND_SAMPLES = 2**20


def draw_textured(
    clip_vertices: np.ndarray,
    triangles: np.ndarray,
    uv: np.ndarray,
    texture: np.ndarray,
    size: int,
    shading: np.ndarray | None = None,
) -> np.ndarray:
    """Draws a textured mesh.

    Args:
      clip_vertices: [M, 4] clip coordinates, as in `rasterize_triangles`.
      triangles: [F, 3] int32.
      uv: [M, 2] in [0, 1], u right, v up.
      texture: [T, T, 3] uint8, row 0 at v = 1.
      size: side of the picture in pixels.
      shading: [M, 3] factors for the texture's colours; None for 1.

    Returns:
      float32 [size, size, 4], RGB in [0, 1] and the share of each pixel that the mesh covers. Colours are averaged over
      the covered share alone, without a background.
    """
    samples = max(LEAST_SAMPLES, round(texture.shape[0] / size))
    triangles = np.asarray(triangles, np.int32)
    attributes = np.ascontiguousarray(uv if shading is None else np.concatenate([uv, shading], axis=1), np.float32)
    picture = np.empty((size, size, 4), np.float32)
    height = max(BAND_SAMPLES // (size * samples**2), 1)
    for first in range(0, size, height):
        rows = min(height, size - first)
        ids = visible_in_rows(clip_vertices, triangles, (size * samples,) * 2, first * samples, rows * samples)
        values = _interpolated(clip_vertices, triangles, attributes, ids, first * samples)
        picture[first : first + rows] = _reduced(_coloured(values, ids, texture), (size, rows))
    return picture


def _interpolated(
    clip_vertices: np.ndarray, triangles: np.ndarray, attributes: np.ndarray, ids: np.ndarray, first: int
) -> np.ndarray:
    """Attributes [M, C] at the samples [R, S] of a square picture's rows from `first` on, where `ids` are visible."""
    rows, side = ids.shape
    weights = np.empty((rows, side, 3), np.float32)
    kernels.barycentrics_of_rows(triangles, clip_vertices, ids, first, side, weights)
    values = np.empty((rows, side, attributes.shape[1]), np.float32)
    kernels.interpolation(triangles, attributes, ids, weights, values)
    return values


def _coloured(values: np.ndarray, ids: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Colours [R, S, 4] of samples with values [R, S, 2 or 5] (u, v and shading), premultiplied by their coverage."""
    columns = values[..., 0] * texture.shape[1] - np.float32(0.5)
    rows = (1 - values[..., 1]) * texture.shape[0] - np.float32(0.5)
    colour = cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) / np.float32(255)
    if values.shape[-1] > 2:
        colour = np.clip(colour * values[..., 2:], 0, 1)
    covered = (ids >= 0).astype(np.float32)[..., None]
    return np.concatenate([colour * covered, covered], axis=-1)


def _reduced(samples: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels of a picture of `size` (width, height) from premultiplied samples; their colours are not premultiplied."""
    pixels = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    pixels[..., :3] /= np.maximum(pixels[..., 3:], np.finfo(np.float32).tiny)
    return pixels
