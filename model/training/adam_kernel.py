"""Adam's update of a matrix whose gradient is given by thin factors, in one pass over memory."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from lib.runtime.compilation import compiled
from lib.runtime.resources import processors

_BLOCKS_PER_THREAD = 4


@compiled(nogil=True, error_model="numpy")
def update_rows(first, last, weights, momentum, velocity, x, upstream, numbers):
    """Updates rows first..last of `weights`, `momentum` and `velocity` [I, O] in place.

    The gradient is scale (x^T upstream + decay weights). The update is Adam (Kingma and Ba 2015, arXiv 1412.6980) in
    the form at the end of section 2, which adds epsilon to the uncorrected root, as Keras and TensorFlow do.

    Args:
      x: [B, I]; upstream: [B, O].
      numbers: decay, scale, rate (with the bias corrections), 1 - beta_1, 1 - beta_2, epsilon; float32 as all arrays.
    """
    decay, scale, rate, first_share, second_share, epsilon = numbers
    gradient = np.empty(weights.shape[1], np.float32)
    for i in range(first, last):
        w, m, v = weights[i], momentum[i], velocity[i]
        for j in range(len(gradient)):
            gradient[j] = decay * w[j]
        for b in range(len(x)):
            factor, row = x[b, i], upstream[b]
            for j in range(len(gradient)):
                gradient[j] += factor * row[j]
        for j in range(len(gradient)):
            g = scale * gradient[j]
            m[j] += (g - m[j]) * first_share
            v[j] += (g * g - v[j]) * second_share
            w[j] -= rate * m[j] / (np.sqrt(v[j]) + epsilon)


def update_matrix(
    weights: np.ndarray,
    momentum: np.ndarray,
    velocity: np.ndarray,
    x: np.ndarray,
    upstream: np.ndarray,
    numbers: tuple[float, float, float, float, float, float],
) -> None:
    """`update_rows` for all rows, on all processors; the result does not depend on their number."""
    values = tuple(np.float32(number) for number in numbers)
    pool, threads = _pool()
    edges = np.linspace(0, len(weights), _BLOCKS_PER_THREAD * threads + 1).astype(int)
    blocks = [(int(a), int(b)) for a, b in itertools.pairwise(edges) if a < b]
    jobs = [pool.submit(update_rows, *block, weights, momentum, velocity, x, upstream, values) for block in blocks]
    for job in jobs:
        job.result()


@cache
def _pool() -> tuple[ThreadPoolExecutor, int]:
    threads = processors()
    return ThreadPoolExecutor(threads, "adam"), threads
