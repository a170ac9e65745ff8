"""Lengths of vectors, and their units."""

import numpy as np

MILLIMETRES = 100.0  # in a decimetre


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths [..., 1] of vectors [..., 3]: numpy.linalg.norm, whose reduction over a last axis of three is slow."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.sqrt(x * x + y * y + z * z)[..., None]
