"""Layers with fixed weights, made from named arrays."""

from typing import Protocol

import numpy as np
import tensorflow as tf


class Take(Protocol):
    """Source of a network's arrays."""

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """The float32 array of a variable, which must have this shape."""
        ...


class FixedNorm:
    """Batch normalisation with moving statistics: x * factor + shift, by channel.

    Args:
      take: source of the arrays.
      name: name of the layer.
      channels: number of channels.
      epsilon: added to the variance.
      scaled: whether the layer has a factor gamma.
    """

    def __init__(self, take: Take, name: str, channels: int, epsilon: float, scaled: bool = True):
        beta, mean, variance = (
            tf.constant(take(f"{name}/{part}", channels)) for part in ("beta", "moving_mean", "moving_variance")
        )
        factor = tf.math.rsqrt(variance + epsilon)
        self.factor = factor * tf.constant(take(f"{name}/gamma", channels)) if scaled else factor
        self.shift = beta - mean * self.factor

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return x * self.factor + self.shift


class FixedConvolution:
    """Convolution with stride 1, zero padding that keeps the size, and an optional bias.

    Args:
      take: source of the arrays.
      name: name of the layer.
      inputs, filters: numbers of channels.
      size: side of the kernel.
      bias: whether the layer has a bias.
    """

    def __init__(self, take: Take, name: str, inputs: int, filters: int, size: int, bias: bool = False):
        self.kernel = tf.constant(take(f"{name}/kernel", size, size, inputs, filters))
        self.bias = tf.constant(take(f"{name}/bias", filters)) if bias else None

    def __call__(self, x: tf.Tensor, stride: int = 1, padding: str = "SAME") -> tf.Tensor:
        x = tf.nn.conv2d(x, self.kernel, stride, padding)
        return x if self.bias is None else x + self.bias


class FixedDense:
    """[B, inputs] -> [B, units], with an optional bias; arguments as in `FixedConvolution`."""

    def __init__(self, take: Take, name: str, inputs: int, units: int, bias: bool = True):
        self.kernel = tf.constant(take(f"{name}/kernel", inputs, units))
        self.bias = tf.constant(take(f"{name}/bias", units)) if bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        product = tf.matmul(x, self.kernel)
        return product if self.bias is None else product + self.bias
