"""Regressor and identity network with fixed weights."""

import tensorflow as tf

from lib.face_model.coefficients import CoefficientLayout
from model.networks.fixed.layers import FixedDense, FixedNorm, Take
from model.networks.fixed.resnet import FixedResNet
from model.networks.identity import NORM_EPSILON, network_input
from model.networks.regressor import regressor_input


class FixedRegressor:
    """`model.networks.regressor.Regressor` with fixed weights.

    Args:
      take: source of the arrays.
      layout: sizes of the groups of the face model's coefficients.
      depth, width, image_size, input_range: as in `Regressor`.
    """

    def __init__(
        self, take: Take, layout: CoefficientLayout, depth: int, width: int, image_size: int, input_range: str
    ):
        self._image_size, self._input_range = image_size, input_range
        self._resnet = FixedResNet(take, "regressor/resnet", depth, width)
        self.feature_size = self._resnet.channels
        self._heads = [
            FixedDense(take, f"regressor/head_{group}", self.feature_size, count)
            for group, count in layout.counts.items()
        ]

    def __call__(self, crop: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Coefficients [B, K] and features [B, E1] of crops [B, H, W, 3], RGB in [0, 1]."""
        maps = self._resnet(regressor_input(crop, self._image_size, self._input_range))
        features = tf.reduce_mean(maps, axis=(1, 2))
        return tf.concat([head(features) for head in self._heads], axis=-1), features


class FixedIdentityNetwork:
    """`model.networks.identity.IdentityNetwork` with fixed weights, differentiable with respect to the image.

    Args:
      take: source of the arrays.
      embedding_size, depth, width, image_size, crop_fraction: as in `IdentityNetwork`.
    """

    def __init__(self, take: Take, embedding_size: int, depth: int, width: int, image_size: int, crop_fraction: float):
        self.embedding_size, self._image_size, self._crop_fraction = embedding_size, image_size, crop_fraction
        self._resnet = FixedResNet(take, "identity_network/resnet", depth, width)
        side = -(-image_size // 32)
        flat = side * side * self._resnet.channels
        self._embedding = FixedDense(take, "identity_network/embedding", flat, embedding_size, bias=False)
        self._norm = FixedNorm(take, "identity_network/norm", embedding_size, NORM_EPSILON, scaled=False)

    def __call__(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Unit embeddings [B, E2] of images [B, H, W, 3], RGB in [0, 1]."""
        maps = self._resnet(network_input(image, self._image_size, self._crop_fraction))
        flat = tf.reshape(maps, [-1, self._embedding.kernel.shape[0]])
        return tf.math.l2_normalize(self._norm(self._embedding(flat)), axis=-1, epsilon=1e-12)
