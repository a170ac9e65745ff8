"""R-Net (Deep3DFaceReconstruction): predicts the coefficients of face model, pose and light from a crop."""

import keras
import tensorflow as tf

from lib.face_model.coefficients import CoefficientLayout
from model.networks.resnet import ResNet

PUBLISHED = "published"
CENTRED = "centred"


def resize_square(images, size: int):
    """Resizes images [B, H, W, C] to [B, size, size, C], antialiased and differentiable."""
    if images.shape[1] == size and images.shape[2] == size:
        return images
    # TensorFlow's "area" resizing has no gradient; antialiased bilinear uses a tent filter instead of its box.
    return tf.image.resize(images, (size, size), method="bilinear", antialias=True)


def regressor_input(crop, size: int, input_range: str):
    """RGB crops [B, H, W, 3] in [0, 1] as the backbone's input [B, size, size, 3]; see `Regressor`."""
    x = resize_square(crop, size)
    return x[..., ::-1] * 255.0 if input_range == PUBLISHED else x * 2.0 - 1.0


class Regressor(keras.Model):
    """Crop -> coefficients: a ResNet and one linear head per group of coefficients.

    The heads start at zero: an untrained regressor predicts the mean face, frontal, at the camera's default distance,
    in ambient light.

    Args:
      layout: sizes of the groups of the face model's coefficients.
      depth: 18, 34 or 50 (published).
      width: channels of the first stage (published 64).
      image_size: side of the square to which the network resizes crops (published 224) [px].
      input_range: "published" for BGR in 0..255, as the published weights expect; "centred" for RGB in -1..1.
    """

    def __init__(
        self,
        layout: CoefficientLayout,
        depth: int = 18,
        width: int = 16,
        image_size: int = 128,
        input_range: str = CENTRED,
        name: str = "regressor",
    ):
        super().__init__(name=name)
        if input_range not in (PUBLISHED, CENTRED):
            raise ValueError(f"input_range must be {PUBLISHED!r} or {CENTRED!r}, got {input_range!r}")
        if image_size < 32:
            raise ValueError(f"image_size of the regressor must be at least 32 px, got {image_size}")
        self.layout = layout
        self.image_size = image_size
        self.input_range = input_range
        self.resnet = ResNet(depth, width)
        self.feature_size = self.resnet.channels
        self.heads = [
            keras.layers.Dense(count, kernel_initializer="zeros", name=f"head_{group}")
            for group, count in layout.counts.items()
        ]
        self.build((None, image_size, image_size, 3))  # so that weights can be loaded

    def build(self, input_shape):
        self.resnet.build((None, self.image_size, self.image_size, 3))
        for head in self.heads:
            head.build((None, self.feature_size))

    def call(self, crop, training=False):
        """Predicts coefficients, and returns them with the pooled features.

        Args:
          crop: [B, H, W, 3] RGB in [0, 1]; any size.
          training: use and update the batch statistics.

        Returns:
          coefficients [B, K] in the layout's order, and features [B, E1], the backbone's mean over the image.
        """
        x = regressor_input(crop, self.image_size, self.input_range)
        features = tf.reduce_mean(self.resnet(x, training=training), axis=(1, 2))
        return tf.concat([head(features) for head in self.heads], axis=-1), features


def build_regressor(config, layout: CoefficientLayout) -> Regressor:
    """Builds the regressor described by a configuration's section `regressor`."""
    return Regressor(layout, config.depth, config.width, config.image_size, config.input_range)
