"""Matrices that transfer vertex signals between two levels."""

import itertools

import igl
import numpy as np
import scipy.sparse


def downsampling_matrix(kept: np.ndarray, fine_count: int) -> scipy.sparse.csr_matrix:
    """D [M, N]: selects the kept vertices; one 1 per row.

    Args:
      kept: [M] fine vertex of each coarse vertex, increasing.
      fine_count: N.
    """
    count = len(kept)
    return scipy.sparse.csr_matrix(
        (np.ones(count, np.float32), np.asarray(kept, np.int32), np.arange(count + 1)),
        shape=(count, fine_count),
    )


def upsampling_matrix(
    fine_vertices: np.ndarray,
    coarse_vertices: np.ndarray,
    coarse_triangles: np.ndarray,
    kept: np.ndarray,
    on: np.ndarray | None = None,
) -> scipy.sparse.csr_matrix:
    """U [N, M]: interpolates at the closest point on the coarse surface with barycentric weights.

    Rows are non-negative and sum to 1, so constants are preserved, independent of the mesh's position (rows of the
    published matrices sum to 0.97-1.17 at borders). Kept vertices keep their exact values: D U = I.

    Args:
      fine_vertices: [N, 3].
      coarse_vertices: [M, 3].
      coarse_triangles: [F, 3] over the coarse numbering.
      kept: [M] fine vertex of each coarse vertex.
      on: [N] coarse triangle for each fine vertex, among those that are nearest but for rounding; None for any.
    """
    fine = np.ascontiguousarray(fine_vertices, np.float64)
    coarse = np.ascontiguousarray(coarse_vertices, np.float64)
    triangles = np.ascontiguousarray(coarse_triangles, np.int64)
    _, nearest, points = igl.point_mesh_squared_distance(fine, coarse, triangles)
    corners = triangles[nearest]
    weights = _barycentric_weights(points, coarse[corners])
    if on is not None:
        used = (corners[:, :, None] == triangles[on][:, None]).any(axis=2)
        for i in np.flatnonzero((~used & (weights > 0)).any(axis=1)):
            corners[i] = triangles[on[i]]
            _, _, point = igl.point_mesh_squared_distance(fine[i : i + 1], coarse, corners[i : i + 1])
            weights[i : i + 1] = _barycentric_weights(point.reshape(1, 3), coarse[corners[i : i + 1]])
    weights[kept] = 0.0
    weights[kept, 0] = 1.0
    corners[kept, 0] = np.arange(len(kept))
    rows = np.repeat(np.arange(len(fine)), 3)
    matrix = scipy.sparse.csr_matrix((weights.ravel(), (rows, corners.ravel())), shape=(len(fine), len(coarse)))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def interpolated_triangles(matrix: scipy.sparse.csr_matrix, coarse_triangles: np.ndarray) -> np.ndarray:
    """[N] a triangle of [F, 3] whose corners each row of an upsampling matrix [N, M] interpolates, for its `on`."""
    of_corners: dict[tuple[int, ...], int] = {}
    for index, corners in enumerate(np.sort(coarse_triangles, axis=1).tolist()):
        for count in (1, 2, 3):
            for part in itertools.combinations(corners, count):
                of_corners.setdefault(part, index)
    rows = np.split(matrix.indices, matrix.indptr[1:-1])
    return np.array([of_corners[tuple(sorted(row.tolist()))] for row in rows], np.int32)


def _barycentric_weights(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weights [P, 3] >= 0 with sum 1 of points [P, 3] that lie on triangles [P, 3, 3]."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    squared_area = np.einsum("pi,pi->p", normal, normal)
    weights = np.stack(
        [
            np.einsum("pi,pi->p", np.cross(second - first, points - first), normal)
            for first, second in ((b, c), (c, a), (a, b))
        ],
        axis=1,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.clip(weights / squared_area[:, None], 0.0, 1.0)
        weights /= weights.sum(axis=1, keepdims=True)
    # A triangle without area has no barycentrics: use its closest corner.
    degenerate = ~np.isfinite(weights).all(axis=1)
    distance = np.linalg.norm(corners[degenerate] - points[degenerate, None], axis=-1)
    weights[degenerate] = np.eye(3)[distance.argmin(axis=1)]
    return weights
