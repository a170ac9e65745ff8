"""Distance between a reconstructed and a true shape, independent of pose."""

import numpy as np
from trimesh.registration import procrustes

from lib.geometry.lengths import MILLIMETRES


def aligned_distance(shape: np.ndarray, truth: np.ndarray, scaled: bool = False) -> float:
    """Mean distance [mm] between corresponding vertices after the least-squares alignment of `shape` to `truth`.

    Rotation and translation, without reflection, are fitted over all given vertices (Umeyama 1991, as in trimesh). With
    `scaled` a uniform scale is fitted as well, as in benchmarks of methods that cannot know a face's size.

    Args:
      shape, truth: [V, 3] decimetres, the same vertices in the same order.
      scaled: fit the scale as well.
    """
    _, moved, _ = procrustes(shape, truth, reflection=False, scale=scaled)
    return float(np.linalg.norm(moved - truth, axis=-1).mean() * MILLIMETRES)
