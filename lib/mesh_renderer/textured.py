"""Pictures of textured meshes, anti-aliased; without gradients."""

import cv2
import numpy as np

from lib.mesh_renderer.visibility import visible_triangles
from lib.runtime.compilation import compiled

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
      float32 [size, size, 4], RGB in [0, 1] and the share of each pixel that the mesh covers. Colours are those of the
      covered share alone, not mixed with a background.
    """
    samples = max(LEAST_SAMPLES, round(texture.shape[0] / size))
    side = size * samples
    ids = visible_triangles(clip_vertices[None], np.asarray(triangles, np.int32), (side, side))[0][0]
    attributes = uv if shading is None else np.concatenate([uv, shading], axis=1)
    values = np.zeros((side, side, attributes.shape[1]), np.float32)
    _interpolate(ids, triangles, clip_vertices.astype(np.float64), np.ascontiguousarray(attributes, np.float32), values)
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


@compiled(nogil=True)
def _interpolate(ids, triangles, clip, attributes, values):
    """Fills `values` [H, W, C] with attributes at the pixel centres, corrected for perspective."""
    height, width = ids.shape
    for row in range(height):
        py = 1.0 - (2 * row + 1) / height
        for column in range(width):
            t = ids[row, column]
            if t < 0:
                continue
            px = (2 * column + 1) / width - 1.0
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            # Coordinates relative to the pixel keep the edge functions' precision.
            ax, ay = clip[a, 0] - px * clip[a, 3], clip[a, 1] - py * clip[a, 3]
            bx, by = clip[b, 0] - px * clip[b, 3], clip[b, 1] - py * clip[b, 3]
            cx, cy = clip[c, 0] - px * clip[c, 3], clip[c, 1] - py * clip[c, 3]
            u, v, w = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
            total = u + v + w
            if total == 0.0:
                continue
            u, v, w = u / total, v / total, w / total
            for k in range(attributes.shape[1]):
                values[row, column, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]
