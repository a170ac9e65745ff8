"""Vertex normals of triangle meshes."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Limit on squared lengths, far below real triangles: only isolated vertices and collapsed triangles get zero normals.
SMALLEST_SQUARED_LENGTH = 1e-20
# Share of the vertices that may have more triangles than the columns of the table through which normals are summed.
CROWDED_SHARE = 0.01


def incident_corners(triangles: np.ndarray, vertex_count: int) -> np.ndarray:
    """The corners of triangles that each vertex is; a triangle that names a vertex twice has two of them there.

    Args:
      triangles: [F, 3] vertex indices.
      vertex_count: N.

    Returns:
      [N, D] int32 in ascending order, 3 f + k for corner k of triangle f; unused entries are 3 F. D is the largest
      number of corners at a vertex (at least 1).
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
    table = np.full((vertex_count, max(int(counts.max(initial=1)), 1)), corners.size, np.int32)
    table[corners[order], slots] = order
    return table


def incident_triangles(triangles: np.ndarray, vertex_count: int) -> np.ndarray:
    """The triangles [N, D] int32 of `incident_corners`; unused entries are F."""
    return incident_corners(triangles, vertex_count) // 3


def without_crowded(table: np.ndarray, unused: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Separates the few vertices with many triangles, such as the middle of a pupil, which make the table wide.

    Args:
      table: [N, D] from `incident_corners` or `incident_triangles`.
      unused: its unused entries, 3 F or F.

    Returns:
      The table [N, d] without the entries of the crowded vertices; these vertices [C], and their rows [C, D].
    """
    counts = (table < unused).sum(axis=1)
    columns = max(int(np.quantile(counts, 1 - CROWDED_SHARE, method="higher")), 1)
    crowded = np.flatnonzero(counts > columns).astype(np.int32)
    narrow = table[:, :columns].copy()
    narrow[crowded] = unused
    return narrow, crowded, table[crowded]


def corner_indices(table: np.ndarray, triangle_count: int) -> np.ndarray:
    """The corners of a table from `incident_corners` as `vertex_normals` counts them.

    Args:
      table: [M, D].
      triangle_count: F.

    Returns:
      [M, D] int32, k F + f for corner k of triangle f; unused entries are 3 F.
    """
    unused = 3 * triangle_count
    return np.where(table < unused, table % 3 * triangle_count + table // 3, unused).astype(np.int32)


def vertex_normals(
    vertices: tf.Tensor,
    triangles: tf.Tensor,
    incidence: tf.Tensor,
    weighting: str = "area",
    crowded: tuple[tf.Tensor, tf.Tensor] | None = None,
    corners: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Unit vertex normals: the normalised sum of the normals of adjacent triangles.

    Args:
      vertices: [B, N, 3], any frame.
      triangles: [F, 3] int32, counter-clockwise from outside, so that normals point outwards.
      incidence: [N, D] int32 from `incident_triangles`; index F selects an appended zero.
      weighting: "area" sums the cross products (the paper), "uniform" normalises each first (Deep3D).
      crowded: vertices [C] and their triangles [C, D], if `incidence` is from `without_crowded`.
      corners: `corner_indices` of all vertices and of the crowded ones, if `incidence` holds all triangles of a vertex:
        the gradient is then computed by gathers, several times as fast as by scattered sums.

    Returns:
      [B, N, 3] unit vectors in the frame of `vertices`; zero where a vertex has no triangle.
    """
    if weighting not in ("area", "uniform"):
        raise ValueError(f"weighting must be 'area' or 'uniform', got {weighting!r}")
    # With the vertex axis first, one gathered row serves the whole batch.
    rows = tf.transpose(vertices, [1, 0, 2])
    triangles, incidence = tf.convert_to_tensor(triangles), tf.convert_to_tensor(incidence)
    columns = tf.unstack(triangles, num=3, axis=1)
    chosen = None if crowded is None else crowded[0]

    def at_corners(values):
        return tf.gather(values, tf.concat(columns, axis=0))

    def around_vertices(values):
        return _sum_of_rows(values, incidence, chosen, None if crowded is None else crowded[1])

    if corners is not None:
        at_corners = _with_adjoint(at_corners, lambda slope: _sum_of_rows(slope, corners[0], chosen, corners[1]))
        around_vertices = _with_adjoint(
            around_vertices, lambda slope: tf.add_n([tf.gather(slope, column) for column in columns])
        )
    first, second, third = tf.split(at_corners(rows), 3)
    cross = tf.linalg.cross(first - second, second - third)
    if weighting == "uniform":
        # Collapsed triangles count nothing: normalising them would make their gradients huge.
        squared = tf.reduce_sum(tf.square(cross), axis=-1, keepdims=True)
        cross = tf.where(squared > SMALLEST_SQUARED_LENGTH, cross, 0.0)
        cross = tf.math.l2_normalize(cross, axis=-1, epsilon=SMALLEST_SQUARED_LENGTH)
    normals = tf.math.l2_normalize(around_vertices(cross), axis=-1, epsilon=SMALLEST_SQUARED_LENGTH)
    return tf.transpose(normals, [1, 0, 2])


def _sum_of_rows(
    values: tf.Tensor, table: tf.Tensor, crowded: tf.Tensor | None, crowded_rows: tf.Tensor | None
) -> tf.Tensor:
    """Sums [N, ...] of the rows of values [F, ...] that each row of a table [N, D] lists; index F is an appended zero.

    The vertices `crowded` [C] take the sums of `crowded_rows` [C, D'] instead.
    """
    values = tf.concat([values, tf.zeros_like(values[:1])], axis=0)
    # Gathered column by column: one gather of all would need D times the memory.
    total = tf.add_n([tf.gather(values, column) for column in tf.unstack(table, axis=1)])
    if crowded is None:
        return total
    # Few rows, but many columns: here one gather of all is cheaper than a gather for each column.
    return tf.tensor_scatter_nd_update(total, crowded[:, None], tf.reduce_sum(tf.gather(values, crowded_rows), axis=1))


def _with_adjoint(
    function: Callable[[tf.Tensor], tf.Tensor], adjoint: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A linear function whose gradient is computed by its adjoint."""
    return tf.custom_gradient(lambda values: (function(values), adjoint))
