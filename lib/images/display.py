"""Conversion of renderings to displayable images."""

import numpy as np
import tensorflow as tf


def clipped(rendering: tf.Tensor) -> tf.Tensor:
    """Clips a rendering to [0, 1]; during training, colours may leave this range."""
    return tf.clip_by_value(rendering, 0.0, 1.0)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Converts an image in [0, 1] to uint8."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
