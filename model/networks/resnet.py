"""ResNet v1 backbones (He et al., 2015, arXiv 1512.03385) of any width, as Keras layers.

Every layer creates its weights in `build`, from the shape of its input alone. Otherwise Keras would trace each level of
the nested layers once more for the level above it, which takes seconds at every start.

They use batch normalisation rather than group normalisation, because the networks are trained in batches of dozens and
then frozen. With moving statistics, the output for a photo does not depend on the rest of its batch, and the
normalisation folds into the convolution; group normalisation would cost time in every call.
"""

from dataclasses import dataclass

import keras

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
EPSILON = 1e-5
_MOMENTUM = 0.97  # averages over the last ~30 batches, because runs take only a few thousand updates


@dataclass(frozen=True)
class Block:
    """Sizes of a residual block.

    Attributes:
      name: name of the layer.
      filters: channels of its inner convolutions.
      stride: stride of one of its convolutions, and of its shortcut.
      project: whether the shortcut is a convolution.
      bottleneck: three convolutions instead of two, the last with four times the filters.
    """

    name: str
    filters: int
    stride: int
    project: bool
    bottleneck: bool

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return 4 * self.filters if self.bottleneck else self.filters


def residual_blocks(depth: int, width: int, torchvision: bool = False) -> list[Block]:
    """The residual blocks of a `ResNet` with these arguments, in order."""
    if depth not in STAGES:
        raise ValueError(f"ResNet depth must be one of {sorted(STAGES)}, got {depth}")
    if width < 1:
        raise ValueError(f"ResNet width must be at least 1, got {width}")
    bottleneck, blocks = depth == 50, []
    for stage, count in enumerate(STAGES[depth]):
        for i in range(count):
            if bottleneck and not torchvision:
                stride = 2 if stage < 3 and i == count - 1 else 1
            else:
                stride = 2 if stage > 0 and i == 0 else 1
            project = i == 0 if bottleneck else stride > 1
            blocks.append(Block(f"stage{stage + 1}_block{i + 1}", width * 2**stage, stride, project, bottleneck))
    return blocks


def channels_of(depth: int, width: int) -> int:
    """Channels of the feature map of a `ResNet`."""
    return residual_blocks(depth, width)[-1].channels


class ConvolutionNorm(keras.layers.Layer):
    """Convolution without bias, batch normalisation, optional ReLU; zero padding of (size - 1) / 2 on every side.

    With this symmetric padding, strided convolutions sample the same pixels as the published network's.
    """

    def __init__(self, filters: int, size: int, stride: int = 1, relu: bool = True, name: str | None = None):
        super().__init__(name=name)
        self.relu = relu
        self.pad = keras.layers.ZeroPadding2D((size - 1) // 2, name="pad") if stride > 1 and size > 1 else None
        self.convolution = keras.layers.Conv2D(
            filters,
            size,
            stride,
            padding="valid" if self.pad else "same",
            use_bias=False,
            kernel_initializer="he_normal",
            name="convolution",
        )
        self.norm = keras.layers.BatchNormalization(momentum=_MOMENTUM, epsilon=EPSILON, name="norm")

    def build(self, input_shape):
        padded = self.pad.compute_output_shape(input_shape) if self.pad else input_shape
        self.convolution.build(padded)
        self.norm.build(self.convolution.compute_output_shape(padded))

    def compute_output_shape(self, input_shape):
        """Shape of the output for an input [B, H, W, C_in]."""
        padded = self.pad.compute_output_shape(input_shape) if self.pad else input_shape
        return self.convolution.compute_output_shape(padded)

    def call(self, x, training=False):
        """[B, H, W, C_in] -> [B, H / stride, W / stride, filters]."""
        x = self.norm(self.convolution(self.pad(x) if self.pad else x), training=training)
        return keras.ops.relu(x) if self.relu else x


class BasicBlock(keras.layers.Layer):
    """Residual block of depths 18 and 34: two 3x3 convolutions; the shortcut is projected if stride or width change."""

    def __init__(self, filters: int, stride: int, project: bool, name: str | None = None):
        super().__init__(name=name)
        self.first = ConvolutionNorm(filters, 3, stride, name="first")
        self.second = ConvolutionNorm(filters, 3, relu=False, name="second")
        self.shortcut = ConvolutionNorm(filters, 1, stride, relu=False, name="shortcut") if project else None

    def build(self, input_shape):
        _build_in_order(input_shape, self.first, self.second)
        if self.shortcut:
            self.shortcut.build(input_shape)

    def compute_output_shape(self, input_shape):
        """Shape of the output for an input [B, H, W, C_in]."""
        return _shape_after(input_shape, self.first, self.second)

    def call(self, x, training=False):
        """[B, H, W, C_in] -> [B, H / stride, W / stride, filters]."""
        shortcut = self.shortcut(x, training=training) if self.shortcut else x
        return keras.ops.relu(shortcut + self.second(self.first(x, training=training), training=training))


class Bottleneck(keras.layers.Layer):
    """Residual block of depth 50: 1x1, 3x3 and 1x1 convolutions, the last to four times the width."""

    def __init__(self, filters: int, stride: int, project: bool, name: str | None = None):
        super().__init__(name=name)
        self.stride = stride
        self.first = ConvolutionNorm(filters, 1, name="first")
        self.second = ConvolutionNorm(filters, 3, stride, name="second")
        self.third = ConvolutionNorm(4 * filters, 1, relu=False, name="third")
        self.shortcut = ConvolutionNorm(4 * filters, 1, stride, relu=False, name="shortcut") if project else None

    def build(self, input_shape):
        _build_in_order(input_shape, self.first, self.second, self.third)
        if self.shortcut:
            self.shortcut.build(input_shape)

    def compute_output_shape(self, input_shape):
        """Shape of the output for an input [B, H, W, C_in]."""
        return _shape_after(input_shape, self.first, self.second, self.third)

    def call(self, x, training=False):
        """[B, H, W, C_in] -> [B, H / stride, W / stride, 4 * filters]."""
        # Without a projection, the shortcut keeps every stride-th pixel, as in the published network.
        shortcut = self.shortcut(x, training=training) if self.shortcut else x[:, :: self.stride, :: self.stride]
        y = self.second(self.first(x, training=training), training=training)
        return keras.ops.relu(shortcut + self.third(y, training=training))


class ResNet(keras.layers.Layer):
    """Image -> feature map at 1/32 of its size.

    Args:
      depth: 18, 34 or 50.
      width: channels of the first stage, 64 as published; the cost grows with its square.
      torchvision: place strides and padding as torchvision does.

    At depth 50, each stage halves the resolution in its last block, as in the published coefficient network (TF-Slim's
    resnet_v1_50). At depths 18 and 34, the first block of the next stage does, as in the paper. torchvision follows the
    paper at every depth, and pads its pooling on all sides.

    Raises:
      ValueError: unknown depth, or width below 1.
    """

    def __init__(self, depth: int, width: int, torchvision: bool = False, name: str = "resnet"):
        super().__init__(name=name)
        self.channels = channels_of(depth, width)
        self.stem = ConvolutionNorm(width, 7, 2, name="stem")
        # Zero padding does not affect the maximum: after a ReLU, no pooled value is negative.
        self.pool_pad = keras.layers.ZeroPadding2D(1, name="pool_pad") if torchvision else None
        self.pool = keras.layers.MaxPooling2D(3, 2, padding="valid" if torchvision else "same", name="pool")
        self.blocks = []
        for block in residual_blocks(depth, width, torchvision):
            kind = Bottleneck if block.bottleneck else BasicBlock
            self.blocks.append(kind(block.filters, block.stride, block.project, name=block.name))

    def build(self, input_shape):
        _build_in_order(input_shape, *self._layers_in_order())

    def compute_output_shape(self, input_shape):
        """Shape of the output for an input [B, H, W, 3]."""
        return _shape_after(input_shape, *self._layers_in_order())

    def _layers_in_order(self) -> list[keras.layers.Layer]:
        pooling = [self.pool_pad, self.pool] if self.pool_pad else [self.pool]
        return [self.stem, *pooling, *self.blocks]

    def call(self, x, training=False):
        """[B, H, W, 3] -> [B, H / 32, W / 32, channels]."""
        x = self.stem(x, training=training)
        x = self.pool(self.pool_pad(x) if self.pool_pad else x)
        for block in self.blocks:
            x = block(x, training=training)
        return x


def _build_in_order(input_shape, *layers: keras.layers.Layer) -> None:
    """Builds layers, each for the output of the one before."""
    for layer in layers:
        layer.build(input_shape)
        input_shape = layer.compute_output_shape(input_shape)


def _shape_after(input_shape, *layers: keras.layers.Layer):
    """Shape of the output of layers applied one after the other."""
    for layer in layers:
        input_shape = layer.compute_output_shape(input_shape)
    return input_shape
