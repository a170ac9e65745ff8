"""The backbone of `model.networks.resnet` with fixed weights."""

import tensorflow as tf

from model.networks.fixed.layers import FixedConvolution, FixedNorm, Take
from model.networks.resnet import EPSILON, Block, channels_of, residual_blocks


class FixedResNet:
    """Image -> feature map at 1/32 of its size.

    Args:
      take: source of the arrays.
      name: name of the network.
      depth, width: as in `model.networks.resnet.ResNet`.
    """

    def __init__(self, take: Take, name: str, depth: int, width: int):
        self.channels = channels_of(depth, width)
        self._stem = _Step(take, f"{name}/stem", 3, width, 7, 2)
        self._blocks, channels = [], width
        for block in residual_blocks(depth, width):
            self._blocks.append(_FixedBlock(take, f"{name}/{block.name}", channels, block))
            channels = block.channels

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, 3] -> [B, H / 32, W / 32, channels]."""
        x = tf.nn.max_pool2d(tf.nn.relu(self._stem(x)), 3, 2, "SAME")
        for block in self._blocks:
            x = block(x)
        return x


class _Step:
    """`ConvolutionNorm` without its ReLU."""

    def __init__(self, take: Take, name: str, inputs: int, filters: int, size: int, stride: int):
        self._border, self._stride = (size - 1) // 2, stride
        self._convolution = FixedConvolution(take, f"{name}/convolution", inputs, filters, size)
        self._norm = FixedNorm(take, f"{name}/norm", filters, EPSILON)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        if self._stride > 1 and self._border:
            border = [self._border, self._border]
            return self._norm(self._convolution(tf.pad(x, [[0, 0], border, border, [0, 0]]), self._stride, "VALID"))
        return self._norm(self._convolution(x, self._stride))


class _FixedBlock:
    """`BasicBlock` or `Bottleneck`."""

    def __init__(self, take: Take, name: str, inputs: int, block: Block):
        width, stride = block.filters, block.stride
        self._shortcut_stride = stride
        if block.bottleneck:
            steps = {"first": (inputs, width, 1, 1), "second": (width, width, 3, stride)}
            steps["third"] = (width, block.channels, 1, 1)
        else:
            steps = {"first": (inputs, width, 3, stride), "second": (width, width, 3, 1)}
        self._steps = [_Step(take, f"{name}/{step}", *sizes) for step, sizes in steps.items()]
        self._shortcut = _Step(take, f"{name}/shortcut", inputs, block.channels, 1, stride) if block.project else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        stride = self._shortcut_stride
        shortcut = x[:, ::stride, ::stride] if self._shortcut is None else self._shortcut(x)
        *inner, last = self._steps
        for step in inner:
            x = tf.nn.relu(step(x))
        return tf.nn.relu(shortcut + last(x))
