"""Hashing of float arrays so that the last bits, which differ between processors, do not count."""

import math

import numpy as np

# Rounding step of the random projections: smaller changes of the arrays do not alter the hash.
STEP = 1e-4


def rounded_projections(array: np.ndarray) -> bytes:
    """Two random projections of every [N, ...] part, rounded to multiples of `STEP`.

    The directions come from raw random bits, so they are the same on every machine. A difference in the last bit (6e-8)
    moves a projection by a millionth of a step, so the rounded value changes only within that distance of a half step.
    """
    # A basis may be empty, and then -1 would be ambiguous.
    rows = array.reshape(len(array), math.prod(array.shape[1:])) if array.ndim == 3 else array.reshape(1, -1)
    directions = np.random.default_rng(0).random((rows.shape[1], 2)) - 0.5
    steps = np.einsum("kd,dp->kp", rows.astype(np.float64), directions) / STEP
    return np.round(steps).astype(np.int64).tobytes()
