"""Colours of one face against those around it: log ratio of two histograms in Lab."""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

# Cells per channel, and the range (OpenCV's 8-bit Lab) that they divide; colours outside fall into the outer cells.
CELLS = (32, 28, 28)
LOW, HIGH = np.array([0.0, 88.0, 88.0]), np.array([256.0, 200.0, 200.0])
# Spread of a sample over the cells: its standard deviation, in cells.
SPREAD = (1.3, 1.0, 1.0)
# Weight of the uniform distribution in each histogram: unseen colours are then undecided.
UNIFORM = 0.02
LIMIT = 4.0
# Share of an area's pixels that count as typical of it.
TYPICAL = 0.75


class ColourCells:
    """The histogram cell of every pixel of an image.

    Args:
      image: uint8 [H, W, 3] RGB.
    """

    def __init__(self, image: np.ndarray):
        self._lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 0.8), cv2.COLOR_RGB2LAB).astype(np.float32)
        cells = ((self._lab - LOW) * (np.array(CELLS) / (HIGH - LOW))).astype(np.int32)
        self._cells = np.ravel_multi_index(tuple(np.moveaxis(cells, -1, 0)), CELLS, mode="clip")

    def typical(self, area: np.ndarray) -> np.ndarray:
        """The pixels of an area, bool [H, W], whose colours are closest to its median, without hair or lenses."""
        sample = self._lab[area]
        if not len(sample):
            return area
        distances = ((sample - np.median(sample, axis=0)) ** 2 / np.maximum(sample.var(0), 1)).sum(1)
        kept = area.copy()
        kept[area] = distances <= np.quantile(distances, TYPICAL)
        return kept

    def log_ratio(self, skin: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Log of how much likelier each pixel's colour [H, W] is on skin, at most LIMIT.

        Args:
          skin, other: [H, W] weights of the pixels that are examples of skin, and of everything else.
        """
        ratio = np.log(self._histogram(skin)) - np.log(self._histogram(other))
        return np.clip(ratio, -LIMIT, LIMIT)[self._cells]

    def _histogram(self, weights: np.ndarray) -> np.ndarray:
        count = int(np.prod(CELLS))
        counts = np.bincount(self._cells.ravel(), weights.ravel(), count)
        smooth = gaussian_filter(counts.reshape(CELLS).astype(np.float32), SPREAD, mode="nearest", truncate=2.5).ravel()
        return (1 - UNIFORM) * smooth / max(float(smooth.sum()), 1e-6) + UNIFORM / count
