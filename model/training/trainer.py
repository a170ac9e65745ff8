"""One update of the texture networks, and of their critic."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from lib.images.display import clipped
from model import losses
from model.face_gcn import CoarseFace, FaceReconstruction
from model.metrics.images import masked_psnr
from model.networks.critic import Critic, critic_loss, generator_loss, gradient_penalty
from model.networks.variable_names import dropout_seeds, network_variables, optimizer_variables
from model.pipeline import Pipeline
from model.training.occlusion import unoccluded_vertices


class TextureTrainer:
    """The texture network's optimizer, the critic if there is one, and the compiled steps.

    Args:
      parts: the chain with its texture network; the frozen networks.
    """

    def __init__(self, pipeline: Pipeline):
        config = pipeline.config
        self.face_gcn, self.identity_size = pipeline.face_gcn, pipeline.identity_size
        self.network = pipeline.face_gcn.texture_network
        self.optimizer = keras.optimizers.Adam(config.train.learning_rate, clipnorm=config.train.clip_norm)
        self.optimizer.build(self.network.trainable_variables)
        self.critic = self.critic_optimizer = None
        self.gan, self.hide = config.gan, config.train.hide
        self.points = tf.constant(pipeline.face_model.mean_shape, tf.float32)
        if self.gan.enabled:
            self.critic = Critic(config.data.image_size)
            self.critic_optimizer = keras.optimizers.Adam(self.gan.learning_rate, clipnorm=config.train.clip_norm)
            self.critic_optimizer.build(self.critic.trainable_variables)

    def network_state(self) -> dict[str, dict[str, keras.Variable]]:
        """The variables that using the network takes, by role and name."""
        return {"texture": network_variables(self.network.weights)}

    def state(self) -> dict[str, dict[str, keras.Variable]]:
        """Everything that going on with the training takes."""
        state = self.network_state() | {
            "texture_random": dropout_seeds(self.network),
            "texture_optimizer": optimizer_variables(self.optimizer),
        }
        if self.critic is not None:
            state["critic"] = network_variables(self.critic.variables)
            state["critic_optimizer"] = optimizer_variables(self.critic_optimizer)
        return state

    def pose(self, batch: tuple[tf.Tensor, ...]) -> tuple:
        """What an update takes, of a batch (crop, coefficients, embedding and, where it is known, true albedo).

        The coefficients become the coarse face, which is no part of what is trained: it can be computed while the
        network learns from the batch before.
        """
        crop, coefficients, *rest = batch
        return crop, self._coarse(coefficients, crop), *rest

    def update(
        self, batch: tuple, weights: Mapping[str, float], rate: float, seed: tuple[int, int]
    ) -> dict[str, float]:
        """One step of the texture network.

        Args:
          batch: from `pose`: crop [B, H, W, 4] RGBA in [0, 1], coarse face, embedding [B, E], whose last part is the
            identity embedding of the crop, and, where it is known, the true albedo [B, N, 3].
          weights: weight of each loss term; terms without one are only reported. The same names every time.
          rate: learning rate.
          seed: decides which parts of the faces are hidden from the network.

        Returns:
          The raw terms and their weighted `total`, before the step.
        """
        self.optimizer.learning_rate.assign(rate)
        tensors = {name: tf.constant(weight, tf.float32) for name, weight in weights.items()}
        terms = self._update(*batch, weights=tensors, seed=tf.constant(seed))
        return {name: float(value) for name, value in terms.items()}

    def update_critic(self, batch: tuple, epsilon: float, rate: float) -> dict[str, float]:
        """One step of the critic on a batch from `pose`.

        Args:
          epsilon: in [0, 1] places the gradient penalty between photo and rendering.
        """
        self.critic_optimizer.learning_rate.assign(rate)
        return {"critic": float(self._update_critic(*batch[:3], tf.constant(epsilon, tf.float32)))}

    @tf.function(reduce_retracing=True)
    def reconstruct(self, crop, coefficients, embedding) -> FaceReconstruction:
        """The chain without training behaviour."""
        return self.face_gcn(crop, coefficients, embedding, training=False)

    @tf.function(reduce_retracing=True)
    def validate(self, crop, coefficients, embedding, true_albedo=None) -> dict[str, tf.Tensor]:
        """Raw loss terms, and PSNR of the coarse and the fine rendering over alpha and face together, of a batch."""
        result = self.face_gcn(crop, coefficients, embedding, training=False)
        terms = self.face_gcn.terms(result, crop, embedding[:, -self.identity_size :], true_albedo)
        mask = result.mask * crop[..., 3:]
        return terms | {
            "psnr_coarse": tf.reduce_mean(masked_psnr(clipped(result.coarse.rendering), crop[..., :3], mask)),
            "psnr_fine": tf.reduce_mean(masked_psnr(clipped(result.rendering), crop[..., :3], mask)),
        }

    @tf.function(reduce_retracing=True)
    def _coarse(self, coefficients, crop) -> CoarseFace:
        return self.face_gcn.coarse(coefficients, crop)

    @tf.function(reduce_retracing=True)
    def _update(self, crop, coarse, embedding, true_albedo=None, *, weights, seed):
        variables = self.network.trainable_variables
        unoccluded = unoccluded_vertices(self.points, tf.shape(crop)[0], seed, self.hide) if self.hide > 0 else None
        with tf.GradientTape() as tape:
            texture = self.face_gcn.refine(embedding, coarse, training=True, unoccluded=unoccluded)
            result = self.face_gcn.render(coarse, texture, crop)
            terms = self.face_gcn.terms(result, crop, embedding[:, -self.identity_size :], true_albedo, unoccluded)
            terms["weight_decay"] = losses.weight_decay(self.network.regularised_variables())
            if self.critic is not None:
                # The weight comes with the other weights, so the raw score is the term.
                terms["adversarial"] = generator_loss(self.critic(result.overlay, training=True), adversarial=1.0)
            terms["total"] = losses.weighted_total(terms, weights)
        self.optimizer.apply(tape.gradient(terms["total"], variables), variables)
        return terms

    @tf.function(reduce_retracing=True)
    def _update_critic(self, crop, coarse, embedding, epsilon):
        texture = self.face_gcn.refine(embedding, coarse, training=True)
        real, fake = crop[..., :3], self.face_gcn.render(coarse, texture, crop).overlay
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            penalty = gradient_penalty(self.critic, real, fake, epsilon, self.gan.penalty)
            scores = self.critic(real, training=True), self.critic(fake, training=True)
            loss = critic_loss(*scores, penalty, self.gan.adversarial)
        self.critic_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss
