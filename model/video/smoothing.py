"""Zero-phase smoothing of whole trajectories: without delay, because past and future have equal weight.

The smoothed x minimises sum_t w_t (y_t - x_t)^2 + stiffness * sum_t (x_(t-1) - 2 x_t + x_(t+1))^2 (Whittaker 1923;
Eilers, "A perfect smoother", 2003). Frames of weight 0 are bridged with the least possible bending.
"""

import numpy as np
from scipy.linalg import solveh_banded

# Lowest cutoff, as a share of the frame rate: below it, rounding would be amplified by more than 1e10.
LEAST_CUTOFF = 1 / 2000


def stiffness(cutoff: float, frame_rate: float) -> float:
    """Stiffness that halves the amplitude of a sine wave of frequency `cutoff`; lower frequencies pass.

    Args:
      cutoff: Hz.
      frame_rate: Hz; at least twice the cutoff, at most 1 / `LEAST_CUTOFF` times.

    Raises:
      ValueError: the cutoff is too low or too high for the frame rate.
    """
    low, high = LEAST_CUTOFF * frame_rate, frame_rate / 2
    if not low <= cutoff <= high:
        raise ValueError(f"cutoff must be {low:g} to {high:g} Hz at {frame_rate:g} frames a second, got {cutoff:g}")
    return float((2 - 2 * np.cos(2 * np.pi * cutoff / frame_rate)) ** -2)


def smooth(values: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
    """Smooths trajectories.

    Args:
      values: [T, D]; rows of weight 0 are not read.
      weights: [T] not negative, at least one of them positive.
      stiffness: weight of the second differences; see `stiffness`.

    Returns:
      float64 [T, D].

    Raises:
      ValueError: wrong shapes, or no frame has weight.
    """
    values, weights = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if values.ndim != 2 or weights.shape != values.shape[:1]:
        raise ValueError(f"values must be [T, D], weights [T], got {list(values.shape)} and {list(weights.shape)}")
    known = np.flatnonzero(weights > 0)
    if len(known) == 0:
        raise ValueError(f"weights must be positive for a frame at least, got none in {len(weights)}")
    if len(known) < 3:  # second differences need three points
        frames = np.arange(len(values))
        return np.stack([np.interp(frames, known, column[known]) for column in values.T], axis=-1)
    count = len(values)
    bands = np.zeros((3, count))  # upper banded form: rows are the second, first and main diagonal of W + stiffness D'D
    for step, bend in enumerate((1.0, -2.0, 1.0)):
        bands[2, step : count - 2 + step] += bend**2
    bands[1, 1 : count - 1] += -2.0
    bands[1, 2:count] += -2.0
    bands[0, 2:] += 1.0
    bands *= stiffness
    bands[2] += weights
    return solveh_banded(bands, weights[:, None] * np.where(weights[:, None] > 0, values, 0.0))
