"""Pre-training of the identity network: cosine softmax over the people of the synthetic faces."""

import keras
import numpy as np
import tensorflow as tf

from configs import schema
from lib.face_model.coefficients import LIGHT
from lib.synthetic.face_set import FaceSet
from model.networks.identity import build_identity_network, cosine_softmax_loss
from model.networks.variable_names import network_variables, optimizer_variables
from model.pretraining.augmentation import Changes, augment, move
from model.pretraining.task import build_optimizer

MARGIN_RAMP = 0.5  # share of the updates over which the margin grows to its final value
DIRECTION_SPREAD = 0.1  # initial deviation of the directions: only angles matter, and short vectors turn faster


class IdentityTask:
    """Trains the identity network, with one direction per training person that is discarded afterwards.

    Args:
      config: the effective configuration.
      faces: all synthetic faces.
      training: indices into `faces` of the training faces.
    """

    name, rates = "identity", "pretrain"

    def __init__(self, config: schema.Config, faces: FaceSet, training: np.ndarray):
        self.faces, self.training, self.section = faces, training, config.pretrain
        self.updates = config.pretrain.identity_updates
        self.network = build_identity_network(config.identity)
        people, self.labels = np.unique(faces.identities[training], return_inverse=True)
        self.directions = keras.Variable(
            tf.random.normal([len(people), config.identity.embedding], stddev=DIRECTION_SPREAD), name="directions"
        )
        self.variables = [*self.network.trainable_variables, self.directions]
        self.optimizer = build_optimizer(config.pretrain, self.variables)
        self.state = {
            "network": network_variables([*self.network.weights, self.directions]),
            "optimizer": optimizer_variables(self.optimizer),
        }

    def inputs(self, positions: np.ndarray, seed: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Augmented images [B, H, W, 3] of training[positions], their people's numbers [B], and the margin."""
        images = tf.constant(self.faces.images[self.training[positions]])
        # With the full margin from the start, training does not get going: the network never separates any people.
        margin = self.section.cosine_margin * min(seed[1] / (MARGIN_RAMP * self.updates), 1.0)
        labels = tf.constant(self.labels[positions], tf.int32)
        return self._augmented(images, tf.constant(seed)), labels, tf.constant(margin)

    @tf.function(autograph=False)
    def _augmented(self, images, seed):
        section = self.section
        light = tf.zeros([images.shape[0], LIGHT])
        seen = augment(images, light, seed, Changes.of(section)).images
        return move(seen, seed + 1, section.shift, section.zoom)

    @tf.function(autograph=False)
    def update(self, images: tf.Tensor, labels: tf.Tensor, margin: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on `inputs`; returns the loss terms."""
        with tf.GradientTape() as tape:
            embeddings = self.network(images, training=True)
            loss = cosine_softmax_loss(embeddings, self.directions, labels, self.section.cosine_scale, margin)
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        return {"cosine softmax": loss, "total": loss}
