"""Shadows: ambient occlusion baked for the mean face, and the cast shadow of one lamp in one photo."""

import numpy as np
import scipy.sparse

from lib.mesh_renderer.visibility import visible_triangles

RESOLUTION = 160
BIAS = 2.2  # millimetres: depth tolerance of the shadow map


def _frame(direction: np.ndarray) -> np.ndarray:
    """[3, 3] rows: right, up and towards the lamp."""
    direction = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(direction, right), direction])


def lit_share(vertices: np.ndarray, triangles: np.ndarray, direction: np.ndarray, spread: int = 1) -> np.ndarray:
    """Share of a distant lamp that reaches each vertex.

    Args:
      vertices: [N, 3] millimetres.
      triangles: [F, 3].
      direction: [3] towards the lamp, same frame.
      spread: radius in texels of the window that softens the edge.

    Returns:
      [N] in [0, 1].
    """
    placed = vertices @ _frame(direction).T
    low, high = placed.min(0), placed.max(0)
    scale = 2 / (max(high[0] - low[0], high[1] - low[1]) * 1.02)
    unit = (placed - 0.5 * (low + high)) * (scale, scale, 1.0)
    depth_scale = 2 / ((high[2] - low[2]) * 1.02)
    clip = np.column_stack([unit[:, :2], -unit[:, 2] * depth_scale, np.ones(len(unit))])[None]
    _, depth = visible_triangles(clip, triangles, (RESOLUTION, RESOLUTION))
    nearest = depth[0]
    column = ((unit[:, 0] + 1) * 0.5 * RESOLUTION).astype(int)
    row = ((1 - unit[:, 1]) * 0.5 * RESOLUTION).astype(int)
    own = clip[0, :, 2] - BIAS * depth_scale
    total = np.zeros(len(vertices))
    window = range(-spread, spread + 1)
    for dy in window:
        for dx in window:
            r = np.clip(row + dy, 0, RESOLUTION - 1)
            c = np.clip(column + dx, 0, RESOLUTION - 1)
            total += own < nearest[r, c]
    return total / len(window) ** 2


def bake_occlusion(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    count: int,
    directions: int = 48,
    ground: float = 1.0,
) -> np.ndarray:
    """Cosine-weighted share of a sky visible from the first `count` vertices.

    Args:
      vertices: [N, 3] millimetres; normals: [N, 3].
      triangles: [F, 3].
      count: number of vertices to return.
      directions: size of the sample.
      ground: brightness of the nadir relative to the zenith; in between, it is linear in the height.

    Returns:
      [count] in [0, 1], relative to the unoccluded vertex.
    """
    index = np.arange(directions) + 0.5
    height = 1 - 2 * index / directions
    angle = np.pi * (1 + np.sqrt(5)) * index
    ring = np.sqrt(1 - height**2)
    sky = np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1)
    seen, full = np.zeros(count), np.full(count, 1e-6)
    for direction in sky:
        cosine = np.clip(normals[:count] @ direction, 0, None) * (ground + (1 - ground) * (1 + direction[1]) / 2)
        seen += cosine * lit_share(vertices, triangles, direction)[:count]
        full += cosine
    return seen / full


def averaging(triangles: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """[N, N] operator that replaces each value by the mean of itself and the average of its neighbours."""
    rows = np.concatenate([triangles[:, [0, 1, 2]].ravel(), triangles[:, [1, 2, 0]].ravel()])
    columns = np.concatenate([triangles[:, [1, 2, 0]].ravel(), triangles[:, [0, 1, 2]].ravel()])
    links = scipy.sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, columns)), shape=(vertex_count, vertex_count)
    )
    links.data[:] = 1
    weight = 1 / np.maximum(np.asarray(links.sum(1)).ravel(), 1)
    return (
        (0.5 * scipy.sparse.eye(vertex_count, dtype=np.float32) + scipy.sparse.diags(0.5 * weight) @ links)
        .tocsr()
        .astype(np.float32)
    )
