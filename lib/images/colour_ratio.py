"""How much likelier a colour belongs to one set of samples than to another."""

import cv2
import numpy as np
import scipy.ndimage

# Bins of the histograms: of lightness, and of each of CIELAB's other axes, over these ranges.
BINS = (24, 32, 32)
LOW, HIGH = np.array([0, -64, -64], np.float32), np.array([100, 64, 64], np.float32)
# Blur of the histograms, bins; colours rarer than the floor in both are unknown; bound of the log of the ratio.
BLUR, FLOOR, BOUND = 1.0, 3e-4, 2.0
# Rounds in which a part is taken out of a mixture, from equal shares on: more would leave nothing of a colour that is
# in both the part and the rest.
ROUNDS = 4


class ColourRatio:
    """Log of the ratio of two densities of colours.

    Args:
      one, other: `BINS`, from `density`.
    """

    def __init__(self, one: np.ndarray, other: np.ndarray):
        self._ratio = np.clip(np.log(one / other), -BOUND, BOUND).astype(np.float32)

    def __call__(self, colours: np.ndarray) -> np.ndarray:
        """The log [...] of the ratio for colours [..., 3], within `BOUND`; near 0 for those of neither set."""
        return self._ratio[_bins(colours)]


def density(colours: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Density `BINS` of colours [n, 3], float32 RGB in [0, 1], at least one; with weights [n] of positive sum."""
    weights = np.ones(len(colours)) if weights is None else weights
    counts = np.zeros(BINS)
    np.add.at(counts, _bins(colours), weights / weights.sum())
    return scipy.ndimage.gaussian_filter(counts, BLUR) + FLOOR


def without(mixture: np.ndarray, part: np.ndarray) -> np.ndarray:
    """What remains of a density without the share of one of its parts, by expectation maximisation."""
    rest, share = mixture, 0.5
    for _ in range(ROUNDS):
        remaining = mixture * (1 - share) * rest / ((1 - share) * rest + share * part)
        kept = remaining.sum() / mixture.sum()
        rest, share = remaining / kept, 1 - kept
    return np.maximum(rest, FLOOR)


def _bins(colours: np.ndarray) -> tuple[np.ndarray, ...]:
    """Three arrays [...] of the bins of colours [..., 3]."""
    flat = np.ascontiguousarray(colours.reshape(-1, 1, 3), np.float32)
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(colours.shape)
    places = np.clip((lab - LOW) / (HIGH - LOW) * BINS, 0, np.array(BINS) - 1).astype(np.intp)
    return tuple(np.moveaxis(places, -1, 0))
