"""Fits a sphere to points, such as the front of an eyeball."""

import numpy as np


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre [3] and radius of the sphere that fits points best, in the units and precision of the points.

    Least squares on |p|^2 = 2 c . p + (r^2 - |c|^2), which is linear in c and the bracket (the algebraic fit). Relative
    to the mean of the points, the system is well conditioned wherever the sphere is.

    Args:
      points: [P, 3], at least four that do not lie in a plane.
    """
    middle = points.mean(axis=0)
    local = points - middle
    system = np.column_stack([2 * local, np.ones(len(local))])
    solution = np.linalg.lstsq(system, np.square(local).sum(axis=1), rcond=None)[0]
    return middle + solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))
