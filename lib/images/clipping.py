"""Clipping of renderings to the range of a photo."""

import tensorflow as tf


def clipped(rendering: tf.Tensor) -> tf.Tensor:
    """Clips a rendering to [0, 1]; during training, colours may leave this range."""
    return tf.clip_by_value(rendering, 0.0, 1.0)
