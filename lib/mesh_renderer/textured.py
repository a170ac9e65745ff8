"""Pictures of textured meshes, anti-aliased; without gradients."""

import cv2
import numpy as np

from lib.mesh_renderer import kernels
from lib.mesh_renderer.visibility import visible_triangles

# Least number of samples per pixel and side. Small pictures take more, so that no texel is skipped.
LEAST_SAMPLES = 2


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
    side = size * samples
    triangles = np.asarray(triangles, np.int32)
    ids = visible_triangles(clip_vertices[None], triangles, (side, side))[0][0]
    attributes = uv if shading is None else np.concatenate([uv, shading], axis=1)
    weights = np.empty((side, side, 3), np.float32)
    kernels.barycentrics(triangles, clip_vertices, ids, weights)
    values = np.empty((side, side, attributes.shape[1]), np.float32)
    kernels.interpolation(triangles, np.ascontiguousarray(attributes, np.float32), ids, weights, values)
    columns = values[..., 0] * texture.shape[1] - np.float32(0.5)
    rows = (1 - values[..., 1]) * texture.shape[0] - np.float32(0.5)
    colour = cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) / np.float32(255)
    if shading is not None:
        colour = np.clip(colour * values[..., 2:], 0, 1)
    covered = (ids >= 0).astype(np.float32)[..., None]
    reduced = cv2.resize(
        np.concatenate([colour * covered, covered], axis=-1), (size, size), interpolation=cv2.INTER_AREA
    )
    reduced[..., :3] /= np.maximum(reduced[..., 3:], np.finfo(np.float32).tiny)
    return reduced
