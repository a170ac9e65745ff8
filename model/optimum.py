"""The best any vertex colouring could do: the yardstick that mesh resolution sets to every texture."""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg


def per_vertex_optimum(
    image: np.ndarray,
    mask: np.ndarray,
    triangle_id: np.ndarray,
    barycentrics: np.ndarray,
    triangles: np.ndarray,
    vertex_count: int,
) -> np.ndarray:
    """Renders the vertex colours that reproduce `image` best, in the least-squares sense, where `mask` is set.

    With one row of barycentric weights a pixel this is a sparse linear least-squares problem; LSMR (Fong and Saunders
    2011) solves it without forming the normal equations.

    Args:
      image: [H, W, 3] RGB in [0, 1].
      mask: [H, W], true where pixels count.
      triangle_id: [H, W] int, the triangle seen at a pixel, -1 for background.
      barycentrics: [H, W, 3] weights of its corners.
      triangles: [F, 3] int.
      vertex_count: N.

    Returns:
      [H, W, 3] the rendering of the optimal colours, clipped to [0, 1]; 0 outside the mask.
    """
    counted = np.asarray(mask, bool) & (triangle_id >= 0)
    pixels = int(counted.sum())
    rendering = np.zeros_like(image)
    if pixels == 0:
        return rendering
    columns = triangles[triangle_id[counted]].ravel()
    weights = barycentrics[counted].astype(np.float64).ravel()
    rows = np.repeat(np.arange(pixels), 3)
    matrix = scipy.sparse.csr_matrix((weights, (rows, columns)), shape=(pixels, vertex_count))
    target = image[counted].astype(np.float64)
    colours = np.stack(
        [
            scipy.sparse.linalg.lsmr(matrix, target[:, c], atol=1e-8, btol=1e-8, maxiter=300)[0]
            for c in range(image.shape[-1])
        ],
        axis=-1,
    )
    rendering[counted] = np.clip(matrix @ colours, 0.0, 1.0)
    return rendering
