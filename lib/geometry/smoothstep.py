"""The smooth step of computer graphics, for weights that fade in and out."""

import numpy as np


def smoothstep(x: np.ndarray) -> np.ndarray:
    """3 x^2 - 2 x^3 with x clipped to [0, 1]: from 0 at x <= 0 to 1 at x >= 1, level at both ends."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
