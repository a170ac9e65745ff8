"""Pictures as a display shows them."""

import numpy as np
import tensorflow as tf


def clipped(rendering: tf.Tensor) -> tf.Tensor:
    """A rendering as a display shows it: colours may leave [0, 1] while training, an image cannot."""
    return tf.clip_by_value(rendering, 0.0, 1.0)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 of an image in [0, 1]."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
