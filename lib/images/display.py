"""Conversion of images to displayable bytes; without TensorFlow, for the processes that render synthetic faces."""

import numpy as np


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Clips values of any shape to [0, 1] and rounds them to uint8, [0, 255]."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
