"""Best rendering that any vertex colours can achieve: the upper bound that the mesh resolution sets."""

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
    """Rendering of the vertex colours that reproduce `image` best inside `mask`, in the least-squares sense.

    Each pixel is a linear combination of three vertex colours, so this is a linear least-squares problem whose normal
    equations are as sparse as the mesh. One factorisation solves it; slight damping fixes the colours of vertices that
    the pixels leave undetermined.

    Args:
      image: [H, W, 3] RGB in [0, 1].
      mask: [H, W], true for the pixels to reproduce.
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
