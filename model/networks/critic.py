"""The WGAN-GP critic of renderings, and its losses.

Images are RGB in [0, 1]; critic and penalty convert them to the published range [-1, 1] internally.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from model.losses import safe_sqrt

_WIDTHS = (16, 32, 64, 128, 256, 512)


class Critic(keras.Model):
    """Published critic: a 1x1 convolution, five blocks of max pooling and a 3x3 convolution, and a final convolution.

    The final convolution covers the whole remaining feature map and gives the score. Every convolution has a bias; all
    but the last are followed by batch normalisation without scale, and leaky ReLU. Batch normalisation is kept as
    published, although it makes scores depend on the batch while the gradient penalty assumes independent scores.

    Args:
      image_size: side of the square images [px], at least 32; the final convolution covers image_size / 32 pixels per
        side (7 at 224).
    """

    def __init__(self, image_size: int, name: str = "critic"):
        super().__init__(name=name)
        if image_size < 32:
            raise ValueError(f"image_size of the critic must be at least 32 px, got {image_size}")
        self.image_size = image_size
        self.convolutions = [
            keras.layers.Conv2D(
                width, 3 if i else 1, padding="same", kernel_initializer="he_normal", name=f"conv{i + 1}"
            )
            for i, width in enumerate(_WIDTHS)
        ]
        self.norms = [
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, scale=False, name=f"norm{i + 1}")
            for i in range(len(_WIDTHS))
        ]
        side = image_size
        for _ in _WIDTHS[1:]:
            side = -(-side // 2)  # halving rounds up, as the published pooling does
        self.score = keras.layers.Conv2D(1, side, padding="valid", kernel_initializer="he_normal", name="score")
        channels = 3
        for convolution, norm, width in zip(self.convolutions, self.norms, _WIDTHS, strict=True):
            convolution.build((None, None, None, channels))
            norm.build((None, None, None, width))
            channels = width
        self.score.build((None, side, side, channels))
        self.built = True

    def call(self, image, training=True):
        """Scores images: high for photos, low for renderings.

        Args:
          image: [B, H, W, 3] RGB in [0, 1], H = W = image_size.
          training: normalise with batch statistics, as published whenever a loss is computed.

        Returns:
          [B, 1].
        """
        if image.shape[1:3] != (self.image_size, self.image_size):
            raise ValueError(f"image must be [B, {self.image_size}, {self.image_size}, 3], got {list(image.shape)}")
        x = 2.0 * image - 1.0
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if i:
                x = tf.nn.max_pool2d(x, 2, 2, "SAME")
            x = tf.nn.leaky_relu(norm(convolution(x), training=training), 0.2)
        return self.score(x)[:, 0, 0]


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    epsilon: tf.Tensor | float,
    weight: float = 10.0,
) -> tf.Tensor:
    """Gradient penalty of WGAN-GP (Gulrajani et al. 2017): mean of weight (|d score / d image| - 1)^2.

    It is evaluated at images interpolated between real and fake ones, with the gradient taken with respect to images in
    the published range [-1, 1]. At a gradient of exactly zero, where the published root gives NaN, the penalty is
    `weight` and trains nothing.

    Args:
      critic: [B, H, W, 3] in [0, 1] -> [B, 1].
      real: [B, H, W, 3] photos in [0, 1].
      fake: [B, H, W, 3] renderings in [0, 1].
      epsilon: position between fake (0) and real (1); one number for the whole batch, as published.
      weight: factor of the penalty.
    """
    between = epsilon * real + (1.0 - epsilon) * fake
    with tf.GradientTape() as tape:
        tape.watch(between)
        score = critic(between)
    gradient = tape.gradient(score, between) / 2.0  # d / d (2 x - 1) = half of d / d x
    norm = safe_sqrt(tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3]))
    return weight * tf.reduce_mean(tf.square(norm - 1.0))


def generator_loss(fake_score: tf.Tensor, adversarial: float = 1e-3) -> tf.Tensor:
    """Adversarial loss of the texture network: -adversarial x mean score of the renderings.

    Args:
      fake_score: [B, 1].
      adversarial: weight of the critic in the texture loss.
    """
    return -adversarial * tf.reduce_mean(fake_score)


def critic_loss(
    real_score: tf.Tensor, fake_score: tf.Tensor, penalty: tf.Tensor, adversarial: float = 1e-3
) -> tf.Tensor:
    """Loss of the critic: adversarial x (mean score of renderings - mean score of photos + penalty).

    As published, the adversarial weight also scales the critic's loss.

    Args:
      real_score: [B, 1].
      fake_score: [B, 1].
      penalty: result of `gradient_penalty`.
      adversarial: weight of the critic in the texture loss.
    """
    return adversarial * (tf.reduce_mean(fake_score) - tf.reduce_mean(real_score) + penalty)
