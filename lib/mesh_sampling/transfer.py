"""Matrices that transfer vertex signals between two levels."""

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
    fine_vertices: np.ndarray, coarse_vertices: np.ndarray, coarse_triangles: np.ndarray, kept: np.ndarray
) -> scipy.sparse.csr_matrix:
    """U [N, M]: interpolates at the closest point on the coarse surface with barycentric weights.

    Rows are non-negative and sum to 1, so constants are preserved, independent of the mesh's position (rows of the
    published matrices sum to 0.97-1.17 at borders). Kept vertices keep their exact values: D U = I.

    Args:
      fine_vertices: [N, 3].
      coarse_vertices: [M, 3].
      coarse_triangles: [F, 3] over the coarse numbering.
      kept: [M] fine vertex of each coarse vertex.
    """
    fine = np.ascontiguousarray(fine_vertices, np.float64)
    coarse = np.ascontiguousarray(coarse_vertices, np.float64)
    triangles = np.ascontiguousarray(coarse_triangles, np.int64)
    _, nearest, points = igl.point_mesh_squared_distance(fine, coarse, triangles)
    corners = triangles[nearest]
    weights = _barycentric_weights(points, coarse[corners])
    weights[kept] = 0.0
    weights[kept, 0] = 1.0
    corners[kept, 0] = np.arange(len(kept))
    rows = np.repeat(np.arange(len(fine)), 3)
    matrix = scipy.sparse.csr_matrix((weights.ravel(), (rows, corners.ravel())), shape=(len(fine), len(coarse)))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


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
