"""How much likelier a colour belongs to one set of samples than to another."""

import cv2
import numpy as np
import scipy.ndimage

# Bins of the histograms: of lightness, and of each of CIELAB's other axes, over these ranges.
BINS = (24, 32, 32)
LOW, HIGH = np.array([0, -64, -64], np.float32), np.array([100, 64, 64], np.float32)
# Blur of the histograms, bins; colours rarer than the floor in both are unknown; bound of the log of the ratio.
BLUR, FLOOR, BOUND = 1.0, 3e-4, 2.0


class ColourRatio:
    """Log of the ratio of the densities of two sets of colours, each with at least one colour.

    Args:
      one, other: [n, 3] and [m, 3] float32 RGB in [0, 1].
    """

    def __init__(self, one: np.ndarray, other: np.ndarray):
        first, second = (self._density(colours) for colours in (one, other))
        self._ratio = np.clip(np.log(first / second), -BOUND, BOUND).astype(np.float32)

    def __call__(self, colours: np.ndarray) -> np.ndarray:
        """The log [...] of the ratio for colours [..., 3], within `BOUND`; near 0 for those of neither set."""
        return self._ratio[_bins(colours)]

    @staticmethod
    def _density(colours: np.ndarray) -> np.ndarray:
        counts = np.zeros(BINS)
        np.add.at(counts, _bins(colours), 1 / len(colours))
        return scipy.ndimage.gaussian_filter(counts, BLUR) + FLOOR


def _bins(colours: np.ndarray) -> tuple[np.ndarray, ...]:
    """Three arrays [...] of the bins of colours [..., 3]."""
    flat = np.ascontiguousarray(colours.reshape(-1, 1, 3), np.float32)
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(colours.shape)
    places = np.clip((lab - LOW) / (HIGH - LOW) * BINS, 0, np.array(BINS) - 1).astype(np.intp)
    return tuple(np.moveaxis(places, -1, 0))
