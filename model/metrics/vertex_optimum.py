"""The best any vertex colouring could do: the yardstick that mesh resolution sets to every texture."""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

DAMPING = 1e-9  # of squared weights, which are of the order of 1


def vertex_optimum(
    image: np.ndarray,
    mask: np.ndarray,
    triangle_id: np.ndarray,
    barycentrics: np.ndarray,
    triangles: np.ndarray,
) -> np.ndarray:
    """The rendering of the vertex colours that reproduce `image` best, in the least-squares sense, where `mask` is set.

    With one row of barycentric weights a pixel this is a linear least-squares problem whose normal equations are as
    sparse as the mesh: one factorisation, with a trace of damping for vertices that no pixel separates.

    Args:
      image: [H, W, 3] RGB in [0, 1].
      mask: [H, W], true where pixels count.
      triangle_id: [H, W] int, the triangle seen at a pixel, -1 for background.
      barycentrics: [H, W, 3] weights of its corners.
      triangles: [F, 3] int.

    Returns:
      [H, W, 3] the rendering of the optimal colours, clipped to [0, 1]; 0 outside the mask.
    """
    counted = np.asarray(mask, bool) & (triangle_id >= 0)
    pixels = int(counted.sum())
    rendering = np.zeros_like(image)
    if pixels == 0:
        return rendering
    used, columns = np.unique(triangles[triangle_id[counted]], return_inverse=True)
    weights = barycentrics[counted].astype(np.float64).ravel()
    rows = np.repeat(np.arange(pixels), 3)
    matrix = scipy.sparse.csr_matrix((weights, (rows, columns.ravel())), shape=(pixels, len(used)))
    normal = matrix.T @ matrix + DAMPING * scipy.sparse.identity(len(used))
    factor = scipy.sparse.linalg.splu(
        normal.tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    colours = factor.solve(matrix.T @ image[counted].astype(np.float64))
    rendering[counted] = np.clip(matrix @ colours, 0.0, 1.0)
    return rendering
