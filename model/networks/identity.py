"""Identity network: maps a face image to a unit vector; the cosine of two vectors measures identity similarity."""

import keras
import tensorflow as tf

from model.networks.regressor import resize_square
from model.networks.resnet import ResNet

NORM_EPSILON = 1e-5


def network_input(image, size: int, crop_fraction: float):
    """The centre of RGB images [B, H, W, 3] in [0, 1] as the backbone's input [B, size, size, 3]."""
    return resize_square(central_square(image, crop_fraction), size) * 2.0 - 1.0


class IdentityNetwork(keras.Model):
    """Crop -> unit embedding, differentiable with respect to the image so that it can serve as a loss on renderings.

    Args:
      embedding_size: E2.
      depth: 18, 34 or 50.
      width: channels of the first stage.
      image_size: side of the network's square input [px].
      crop_fraction: side of the central square that is used, as a share of the image's side; it leaves out hair, neck
        and background, which vary between photos of a person.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        depth: int = 18,
        width: int = 16,
        image_size: int = 96,
        crop_fraction: float = 0.8,
        name: str = "identity_network",
    ):
        super().__init__(name=name)
        if image_size < 32:
            raise ValueError(f"image_size of the identity network must be at least 32 px, got {image_size}")
        if not 0.0 < crop_fraction <= 1.0:
            raise ValueError(f"crop_fraction must be in (0, 1], got {crop_fraction}")
        self.embedding_size = embedding_size
        self.image_size = image_size
        self.crop_fraction = crop_fraction
        self.resnet = ResNet(depth, width)
        # The whole feature map instead of its mean: in aligned faces, position carries information about identity.
        self.flatten = keras.layers.Flatten(name="flatten")
        self.embedding = keras.layers.Dense(embedding_size, use_bias=False, name="embedding")
        self.norm = keras.layers.BatchNormalization(momentum=0.97, epsilon=NORM_EPSILON, scale=False, name="norm")
        self.build((None, image_size, image_size, 3))  # so that weights can be loaded

    def build(self, input_shape):
        square = (None, self.image_size, self.image_size, 3)
        self.resnet.build(square)
        flat = self.flatten.compute_output_shape(self.resnet.compute_output_shape(square))
        self.embedding.build(flat)
        self.norm.build((None, self.embedding_size))

    def call(self, image, training=False):
        """Embeds aligned face crops, or renderings laid over them.

        Args:
          image: [B, H, W, 3] RGB in [0, 1], any size: the whole crop; the network cuts out its centre.
          training: use and update the batch statistics.

        Returns:
          [B, E2] of unit length.
        """
        x = network_input(image, self.image_size, self.crop_fraction)
        x = self.embedding(self.flatten(self.resnet(x, training=training)))
        return tf.math.l2_normalize(self.norm(x, training=training), axis=-1, epsilon=1e-12)


def central_square(images, fraction: float):
    """Cuts the central square, `fraction` of each side and at least one pixel, out of images [B, H, W, C]."""
    height, width = images.shape[1], images.shape[2]
    rows, columns = max(round(height * fraction), 1), max(round(width * fraction), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    # Brackets would have a slow gradient.
    return tf.slice(images, [0, top, left, 0], [-1, rows, columns, -1])


def cosine_softmax_loss(embeddings, weights, labels, scale: float, margin: float):
    """Large-margin cosine loss (CosFace, Wang et al. 2018, arXiv 1801.09414, equation 4).

    Args:
      embeddings: [B, E] unit vectors.
      weights: [I, E] one direction per identity, of any length.
      labels: [B] identity of each embedding, 0..I-1.
      scale: s, the sharpness of the softmax over cosines.
      margin: m, by how much the cosine of the true identity must exceed the others.

    Returns:
      Mean over the batch of -log softmax at the true identity.
    """
    cosines = tf.matmul(embeddings, tf.math.l2_normalize(weights, axis=-1), transpose_b=True)
    logits = scale * (cosines - margin * tf.one_hot(labels, weights.shape[0], dtype=cosines.dtype))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def build_identity_network(config) -> IdentityNetwork:
    """Builds the network described by a configuration's section `identity`."""
    return IdentityNetwork(config.embedding, config.depth, config.width, config.image_size, config.crop_fraction)
