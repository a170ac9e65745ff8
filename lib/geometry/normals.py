"""Vertex normals of triangle meshes."""

import numpy as np
import tensorflow as tf

# On squared lengths: far below any real triangle, so only isolated vertices and collapsed triangles get a zero normal.
SMALLEST_SQUARED_LENGTH = 1e-20


def incident_triangles(triangles: np.ndarray, vertex_count: int, limit: int | None = None) -> np.ndarray:
    """The triangles around each vertex.

    Args:
      triangles: [F, 3] vertex indices.
      vertex_count: N.
      limit: keep at most this many triangles a vertex, lowest first; the published tables have room for 8.

    Returns:
      [N, D] int32 triangle indices in ascending order, unused slots hold F; D is the largest number of triangles at a
      vertex (at least 1) or `limit`.
    """
    triangles = np.asarray(triangles)
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles must be [F, 3], got {list(triangles.shape)}")
    if triangles.size and (triangles.min() < 0 or triangles.max() >= vertex_count):
        raise ValueError(f"triangles must index 0..{vertex_count - 1}, got {triangles.min()}..{triangles.max()}")
    corners = triangles.ravel()
    order = np.argsort(corners, kind="stable")
    counts = np.bincount(corners, minlength=vertex_count)
    slots = np.arange(corners.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((vertex_count, max(int(counts.max(initial=1)), 1)), len(triangles), np.int32)
    table[corners[order], slots] = order // 3
    return table if limit is None else table[:, :limit]


def vertex_normals(
    vertices: tf.Tensor, triangles: tf.Tensor, incidence: tf.Tensor, weighting: str = "area"
) -> tf.Tensor:
    """Unit normals at the vertices: the normalised sum over the triangles around each.

    Args:
      vertices: [B, N, 3], any frame.
      triangles: [F, 3] int32, counter-clockwise from outside, so that normals point outwards.
      incidence: [N, D] int32 from `incident_triangles`; F addresses an appended zero.
      weighting: "area" sums cross products as they are (the paper), "uniform" normalises each first (Deep3D).

    Returns:
      [B, N, 3] unit vectors in the frame of `vertices`; zero where a vertex has no triangle.
    """
    if weighting not in ("area", "uniform"):
        raise ValueError(f"weighting must be 'area' or 'uniform', got {weighting!r}")
    # Vertices first: one gathered row then serves the whole batch.
    rows = tf.transpose(vertices, [1, 0, 2])
    triangles, incidence = tf.convert_to_tensor(triangles), tf.convert_to_tensor(incidence)
    first, second, third = (tf.gather(rows, triangles[:, corner]) for corner in range(3))
    cross = tf.linalg.cross(first - second, second - third)
    if weighting == "uniform":
        cross = tf.math.l2_normalize(cross, axis=-1, epsilon=SMALLEST_SQUARED_LENGTH)
    cross = tf.concat([cross, tf.zeros_like(cross[:1])], axis=0)
    total = tf.add_n([tf.gather(cross, incidence[:, slot]) for slot in range(incidence.shape[1])])
    return tf.transpose(tf.math.l2_normalize(total, axis=-1, epsilon=SMALLEST_SQUARED_LENGTH), [1, 0, 2])
