"""A triangle mesh as a weighted graph."""

import numpy as np
import scipy.sparse


def adjacency_matrix(triangles: np.ndarray, vertex_count: int) -> scipy.sparse.csr_matrix:
    """Edge weights as published: every triangle adds 1 to each of its edges.

    An interior edge has weight 2, a border edge 1, an edge shared by three triangles 3.

    Args:
      triangles: [F, 3] vertex indices.
      vertex_count: N; vertices without triangles get empty rows.

    Returns:
      [N, N] symmetric float32 CSR with sorted columns and an empty diagonal.
    """
    triangles = np.asarray(triangles)
    start = triangles.ravel()
    end = triangles[:, [1, 2, 0]].ravel()
    edges = start != end  # ignore the self-edges of degenerate triangles
    start, end = start[edges], end[edges]
    rows, columns = np.concatenate([start, end]), np.concatenate([end, start])
    ones = np.ones(len(rows), np.float32)
    adjacency = scipy.sparse.csr_matrix((ones, (rows, columns)), shape=(vertex_count, vertex_count))
    adjacency.sum_duplicates()
    return adjacency


def normalised_laplacian(adjacency: scipy.sparse.spmatrix) -> scipy.sparse.csr_matrix:
    """Symmetric normalised Laplacian L = I - d^(-1/2) A d^(-1/2), spectrum in [0, 2].

    Args:
      adjacency: [N, N] symmetric weights A >= 0.

    Returns:
      [N, N] float32 CSR. A vertex without neighbours has the row of I.
    """
    adjacency = scipy.sparse.csr_matrix(adjacency, dtype=np.float64)
    degree = np.asarray(adjacency.sum(axis=0)).ravel()
    scale = np.zeros_like(degree)
    np.divide(1.0, np.sqrt(degree), out=scale, where=degree > 0)
    scaling = scipy.sparse.diags(scale)
    laplacian = scipy.sparse.identity(adjacency.shape[0], format="csr") - scaling @ adjacency @ scaling
    laplacian = scipy.sparse.csr_matrix(laplacian, dtype=np.float32)
    laplacian.sort_indices()
    return laplacian
