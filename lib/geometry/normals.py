"""Vertex normals of triangle meshes."""

import numpy as np
import tensorflow as tf

# Limit on squared lengths, far below real triangles: only isolated vertices and collapsed triangles get zero normals.
SMALLEST_SQUARED_LENGTH = 1e-20
# Share of the vertices that may have more triangles than the columns of the table through which normals are summed.
CROWDED_SHARE = 0.01


def incident_triangles(triangles: np.ndarray, vertex_count: int, limit: int | None = None) -> np.ndarray:
    """The triangles around each vertex.

    Args:
      triangles: [F, 3] vertex indices.
      vertex_count: N.
      limit: maximum number of triangles per vertex, lowest indices first; the published tables hold 8.

    Returns:
      [N, D] int32 triangle indices in ascending order; unused entries are F. D is the largest number of triangles at a
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


def without_crowded(table: np.ndarray, triangle_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Separates the few vertices with many triangles, such as the middle of a pupil, which make the table wide.

    Args:
      table: [N, D] from `incident_triangles`.
      triangle_count: F.

    Returns:
      The table [N, d] without the triangles of the crowded vertices; these vertices [C], and their rows [C, D].
    """
    counts = (table < triangle_count).sum(axis=1)
    columns = max(int(np.quantile(counts, 1 - CROWDED_SHARE, method="higher")), 1)
    crowded = np.flatnonzero(counts > columns).astype(np.int32)
    narrow = table[:, :columns].copy()
    narrow[crowded] = triangle_count
    return narrow, crowded, table[crowded]


def vertex_normals(
    vertices: tf.Tensor,
    triangles: tf.Tensor,
    incidence: tf.Tensor,
    weighting: str = "area",
    crowded: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Unit vertex normals: the normalised sum of the normals of adjacent triangles.

    Args:
      vertices: [B, N, 3], any frame.
      triangles: [F, 3] int32, counter-clockwise from outside, so that normals point outwards.
      incidence: [N, D] int32 from `incident_triangles`; index F selects an appended zero.
      weighting: "area" sums the cross products (the paper), "uniform" normalises each first (Deep3D).
      crowded: vertices [C] and their triangles [C, D], if `incidence` is from `without_crowded`.

    Returns:
      [B, N, 3] unit vectors in the frame of `vertices`; zero where a vertex has no triangle.
    """
    if weighting not in ("area", "uniform"):
        raise ValueError(f"weighting must be 'area' or 'uniform', got {weighting!r}")
    # With the vertex axis first, one gathered row serves the whole batch.
    rows = tf.transpose(vertices, [1, 0, 2])
    triangles, incidence = tf.convert_to_tensor(triangles), tf.convert_to_tensor(incidence)
    first, second, third = (tf.gather(rows, corner) for corner in tf.unstack(triangles, num=3, axis=1))
    cross = tf.linalg.cross(first - second, second - third)
    if weighting == "uniform":
        cross = tf.math.l2_normalize(cross, axis=-1, epsilon=SMALLEST_SQUARED_LENGTH)
    cross = tf.concat([cross, tf.zeros_like(cross[:1])], axis=0)
    total = _sum_of_rows(cross, incidence)
    if crowded is not None:
        # Few rows, but many columns: here one gather of all is cheaper than a gather for each column.
        sums = tf.reduce_sum(tf.gather(cross, crowded[1]), axis=1)
        total = tf.tensor_scatter_nd_update(total, crowded[0][:, None], sums)
    return tf.transpose(tf.math.l2_normalize(total, axis=-1, epsilon=SMALLEST_SQUARED_LENGTH), [1, 0, 2])


def _sum_of_rows(values: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Sums [N, ...] of the rows of values [F, ...] that each row of a table [N, D] lists."""
    # Gathered column by column: one gather of all would need D times the memory.
    return tf.add_n([tf.gather(values, column) for column in tf.unstack(table, axis=1)])
