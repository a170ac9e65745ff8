"""Guided filter (He et al. 2013): smooths a map along the edges of an image, from box filters alone."""

import cv2
import numpy as np


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Replaces values by what a locally linear function of the guide predicts.

    Args:
      guide: [H, W] in [0, 1].
      values: [H, W].
      radius: of the square windows, pixels.
      epsilon: variance of the guide below which a window counts as flat.
    """
    guide, values = guide.astype(np.float32), values.astype(np.float32)

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.blur(image, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    middle, level = mean(guide), mean(values)
    slope = (mean(guide * values) - middle * level) / (mean(guide * guide) - middle * middle + epsilon)
    return mean(slope) * guide + mean(level - slope * middle)
