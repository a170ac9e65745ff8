"""Distance of a reconstructed shape from the true one, whatever the pose."""

import numpy as np
from trimesh.registration import procrustes

MILLIMETRES = 100.0  # in the decimetre that shapes are measured in


def aligned_distance(shape: np.ndarray, truth: np.ndarray, scaled: bool = False) -> float:
    """Mean distance [mm] between corresponding vertices after the least-squares alignment of `shape` to `truth`.

    Rotation and translation are fitted over all vertices given (Umeyama 1991, as in trimesh), reflections are not
    allowed; with `scaled` a common scale is fitted, too, as benchmarks do for methods that cannot know a face's size.

    Args:
      shape, truth: [V, 3] decimetres, the same vertices in the same order.
      scaled: whether the scale is fitted.
    """
    _, moved, _ = procrustes(shape, truth, reflection=False, scale=scaled)
    return float(np.linalg.norm(moved - truth, axis=-1).mean() * MILLIMETRES)
