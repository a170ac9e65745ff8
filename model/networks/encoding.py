"""Named outputs of the two frozen networks: regressor and identity network."""

from dataclasses import dataclass

import tensorflow as tf

from lib.tensor_structure import TensorStructure


@dataclass(frozen=True)
class EncodedFaces(TensorStructure):
    """Outputs of the frozen networks for B crops: tensors for a batch, arrays or `StoredRows` for a whole record file.

    Attributes:
      coefficients: [B, K] coefficients of the face model.
      features: [B, E1] pooled features of the regressor.
      identity_embedding: [B, E2] embedding of the crop by the identity network.
    """

    coefficients: tf.Tensor
    features: tf.Tensor
    identity_embedding: tf.Tensor

    @property
    def embedding(self) -> tf.Tensor:
        """Image embedding [B, E1 + E2], the input of the texture network's decoder."""
        return tf.concat([self.features, self.identity_embedding], axis=-1)


def encode(regressor, identity_network, images: tf.Tensor) -> EncodedFaces:
    """Runs both networks on RGB crops [B, H, W, 3] in [0, 1]."""
    coefficients, features = regressor(images, training=False)
    return EncodedFaces(coefficients, features, identity_network(images, training=False))
