"""Mask decoder: feature maps of the face mesh network to the log odds that a pixel shows the face's skin."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from lib.face_mesh.features import MAPS

# Side of the decoder's output; its channels at each resolution, finest first, like MAPS.
SIDE = 96
CHANNELS = (24, 32, 32, 48, 64)
# Sides of the kernels that join a level with the coarser ones. The feature maps already see their neighbourhood, so the
# two finest levels, which cost most, look at single pixels.
KERNELS = (1, 1, 3, 3)
LAST = 16  # channels before the log odds
NORM_EPSILON = 1e-3


def decode(maps: Sequence, picture, reduce: Sequence[Callable], join: Sequence[Callable], end: Callable):
    """Log odds [B, 96, 96] from five normalised feature maps, finest first, and the picture [B, 96, 96, 3] in [0, 1].

    Args:
      reduce: layers for the maps but the finest.
      join: layers, finest first, for each level together with the coarser ones.
      end: layer from the last features to log odds [B, 96, 96, 1].
    """
    seen = [
        tf.concat([maps[0], picture * 2.0 - 1.0], -1),
        *(layer(x) for layer, x in zip(reduce, maps[1:], strict=True)),
    ]
    x = tf.nn.relu(seen[-1])
    for level in reversed(range(len(join))):
        x = tf.concat([tf.image.resize(x, seen[level].shape[1:3]), seen[level]], -1)
        x = tf.nn.relu(join[level](x))
    return end(x)[..., 0]


class MaskDecoder(keras.Model):
    """Five feature maps and the picture itself -> log odds of skin, from coarse to fine with skip connections.

    Eyes, brows, lips and beard count as skin; hair, glasses, hands and background do not.
    """

    def __init__(self, name: str = "mask_decoder"):
        super().__init__(name=name)
        sides = [side for side, _ in MAPS.values()]
        self.norms = [
            keras.layers.BatchNormalization(momentum=0.98, epsilon=NORM_EPSILON, name=f"norm_{side}") for side in sides
        ]
        self.reduce = [
            keras.layers.Conv2D(channels, 1, name=f"reduce_{side}")
            for side, channels in zip(sides[1:], CHANNELS[1:], strict=True)
        ]
        self.join = [
            keras.layers.Conv2D(channels, kernel, padding="same", use_bias=False, name=f"join_{side}")
            for side, channels, kernel in zip(sides[:-1], CHANNELS[:-1], KERNELS, strict=True)
        ]
        self.join_norms = [_norm(f"join_norm_{side}") for side in sides[:-1]]
        self.last = keras.layers.Conv2D(LAST, 1, activation="relu", name="last")
        self.log_odds = keras.layers.Conv2D(1, 1, name="log_odds")
        self([tf.zeros([1, side, side, count]) for side, count in MAPS.values()], tf.zeros([1, SIDE, SIDE, 3]))

    def call(self, maps, picture, training=False):
        """Computes the log odds.

        Args:
          maps: five tensors [B, side, side, channels], see `lib.face_mesh.features.MAPS`.
          picture: [B, 96, 96, 3] RGB in [0, 1], the same square.
          training: use and update the batch statistics.

        Returns:
          [B, 96, 96].
        """

        def joined(convolution, norm):
            return lambda x: norm(convolution(x), training=training)

        seen = [norm(x, training=training) for norm, x in zip(self.norms, maps, strict=True)]
        join = [joined(*layers) for layers in zip(self.join, self.join_norms, strict=True)]
        return decode(seen, picture, self.reduce, join, lambda x: self.log_odds(self.last(x)))


def _norm(name: str) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(momentum=0.98, epsilon=NORM_EPSILON, name=name)
