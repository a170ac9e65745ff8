"""Training steps of the texture network and its critic."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from lib.images.clipping import clipped
from model import losses
from model.face_gcn import CoarseFace, FaceReconstruction
from model.input_pipeline.batches import CropBatch
from model.metrics.images import masked_psnr
from model.networks.critic import Critic, critic_loss, generator_loss, gradient_penalty
from model.networks.encoding import EncodedFaces
from model.networks.products.dense import DenseProduct, collected_products
from model.networks.texture_networks import TextureNetwork
from model.networks.variable_names import dropout_layers, dropout_seeds, network_variables, optimizer_variables
from model.pipeline import Pipeline, build_texture_network
from model.projection import delit_albedo
from model.runs.symptoms import PredictedTexture, saturation
from model.training.fused_adam import FusedAdam, ThinGradient
from model.training.occlusion import unoccluded_vertices
from model.training.workers import Workers

# Without AutoGraph, which would convert the source of all networks: no step has control flow that depends on tensors.
_compiled = functools.partial(tf.function, reduce_retracing=True, autograph=False)


@dataclass(frozen=True)
class PosedBatch:
    """B training crops with their coarse faces.

    Attributes:
      crop: [B, H, W, 4] RGBA in [0, 1].
      coarse: the coarse face of the encoded coefficients.
      encoded: outputs of the frozen networks.
      true_albedo: [B, N, 3] RGB in [0, 1], None if unknown.
    """

    crop: tf.Tensor
    coarse: CoarseFace
    encoded: EncodedFaces
    true_albedo: tf.Tensor | None = None


class TextureTrainer:
    """Optimizer of the texture network, the critic if there is one, and the compiled steps.

    Args:
      pipeline: the texture network to train, and the frozen components.
      workers: the processes that train it; each computes its rows of a batch.
      keep_albedo: where the true albedo is unknown, the target is that of the network as it is now, or as it was when
        the run began, if `state` is restored. Otherwise it is the appearance (`FaceGCN.loss_inputs`), with which a
        trained network would unlearn to tell the two apart.
    """

    def __init__(self, pipeline: Pipeline, workers: Workers | None = None, keep_albedo: bool = False):
        self.workers = workers or Workers()
        config = pipeline.config
        self.face_gcn, self.network = pipeline.face_gcn, pipeline.texture_network
        self.optimizer = FusedAdam(config.train.learning_rate, config.train.clip_norm, config.train.epsilon)
        self.optimizer.build(self.network.trainable_variables)
        for layer in dropout_layers(self.network):
            layer.part, layer.parts = self.workers.index, self.workers.count
        self.gan, self.hide = config.gan, config.train.hide
        self.start = _copied(pipeline) if keep_albedo else None
        self.points = tf.constant(pipeline.face_model.mean_shape, tf.float32)
        self.critic = Critic(config.data.image_size) if self.gan.enabled else None
        if self.critic is not None:
            self.critic_optimizer = FusedAdam(self.gan.learning_rate, config.train.clip_norm, config.train.epsilon)
            self.critic_optimizer.build(self.critic.trainable_variables)

    def network_state(self) -> dict[str, dict[str, keras.Variable]]:
        """Variables needed to use the network, by role and name."""
        return {"texture": network_variables(self.network.weights)}

    def state(self) -> dict[str, dict[str, keras.Variable]]:
        """Variables needed to resume training, by role and name."""
        state = self.network_state() | {
            "texture_random": dropout_seeds(self.network),
            "texture_optimizer": optimizer_variables(self.optimizer),
        }
        if self.start is not None:
            state["texture_start"] = network_variables(self.start.weights)
        if self.critic is not None:
            state["critic"] = network_variables(self.critic.variables)
            state["critic_optimizer"] = optimizer_variables(self.critic_optimizer)
        return state

    def pose(self, batch: CropBatch) -> PosedBatch:
        """Computes the coarse faces of a batch.

        No trainable variables are involved, so this can run while the network trains on the previous batch.
        """
        coarse = self._coarse(batch.encoded.coefficients, batch.crop)
        return PosedBatch(batch.crop, coarse, batch.encoded, batch.true_albedo)

    def update(
        self, batch: PosedBatch, weights: Mapping[str, float], rate: float, seed: tuple[int, int]
    ) -> dict[str, float]:
        """Makes one step of the texture network.

        Args:
          batch: from `pose`.
          weights: weight of each loss term; terms without a weight are only reported. Pass the same names every time.
          rate: learning rate.
          seed: determines which vertices are hidden from the network.

        Returns:
          The unweighted terms and their weighted `total`, before the step.
        """
        self.optimizer.learning_rate.assign(rate)
        # Passed as tensors: Python numbers would be compiled in as constants, and every change would compile again.
        tensors = {name: tf.constant(weight, tf.float32) for name, weight in weights.items()}
        terms, thin = self._update(
            batch.crop, batch.coarse, batch.encoded, batch.true_albedo, weights=tensors, seed=tf.constant(seed)
        )
        kernels = {variable.path: variable for variable in self.network.trainable_variables}
        self.optimizer.update_thin([kernels[path] for path in thin], list(thin.values()))
        return {name: float(value) for name, value in terms.items()}

    def update_critic(self, batch: PosedBatch, epsilon: float, rate: float) -> dict[str, float]:
        """Makes one step of the critic on a batch from `pose`.

        Args:
          epsilon: where to evaluate the gradient penalty, from rendering (0) to photo (1).
          rate: learning rate.

        Returns:
          Before the step: the `critic`'s loss, and its `separation`, the mean score of photos minus the mean score of
          renderings, relative to the mean distance of each rendering from its photo. If the critic satisfies the
          gradient penalty, its slope is at most 1, and so is the separation.
        """
        self.critic_optimizer.learning_rate.assign(rate)
        terms = self._update_critic(batch.crop, batch.coarse, batch.encoded, tf.constant(epsilon, tf.float32))
        return {name: float(value) for name, value in terms.items()}

    def validate(self, batch: CropBatch) -> tuple[dict[str, tf.Tensor], PredictedTexture]:
        """Measures a batch without training on it.

        Returns:
          The unweighted loss terms, `psnr_coarse` and `psnr_fine` where alpha and face overlap, and `saturated`, see
          `saturation`; and the network's part of the textures.
        """
        return self._validate(batch.crop, batch.encoded, batch.true_albedo)

    @_compiled
    def reconstruct(self, crop: tf.Tensor, encoded: EncodedFaces) -> FaceReconstruction:
        """Reconstructs crops [B, H, W, 4] in inference mode."""
        return self.face_gcn(crop, encoded.coefficients, encoded.embedding, training=False)

    @_compiled
    def _validate(
        self, crop: tf.Tensor, encoded: EncodedFaces, true_albedo: tf.Tensor | None
    ) -> tuple[dict[str, tf.Tensor], PredictedTexture]:
        result = self.face_gcn(crop, encoded.coefficients, encoded.embedding, training=False)
        known = self._known_albedo(encoded, result.coarse, true_albedo)
        terms = self.face_gcn.terms(result, crop, encoded.identity_embedding, known)
        mask = result.mask * crop[..., 3:]
        terms |= {
            "psnr_coarse": tf.reduce_mean(masked_psnr(clipped(result.coarse.rendering), crop[..., :3], mask)),
            "psnr_fine": tf.reduce_mean(masked_psnr(clipped(result.rendering), crop[..., :3], mask)),
            "saturated": saturation(result.coarse.rendering, crop[..., :3], mask),
        }
        coarse, sampled = result.coarse, result.coarse.sampled
        start = coarse.albedo if self.network.head == "residual" else tf.zeros_like(coarse.albedo)
        wanted = delit_albedo(sampled.colour, coarse.face.shading)
        return terms, PredictedTexture(result.appearance - start, wanted - start, sampled.visibility)

    @_compiled
    def _coarse(self, coefficients: tf.Tensor, crop: tf.Tensor) -> CoarseFace:
        return self.face_gcn.coarse(coefficients, crop)

    @_compiled
    def _update(
        self,
        crop: tf.Tensor,
        coarse: CoarseFace,
        encoded: EncodedFaces,
        true_albedo: tf.Tensor | None,
        *,
        weights: Mapping[str, tf.Tensor],
        seed: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], dict[str, ThinGradient]]:
        unoccluded = None
        if self.hide > 0:
            whole_batch = tf.shape(crop)[0] * self.workers.count
            unoccluded = self.workers.rows(unoccluded_vertices(self.points, whole_batch, seed, self.hide))
        known = self._known_albedo(encoded, coarse, true_albedo)
        with collected_products(self.workers.count) as products, tf.GradientTape() as tape:
            texture = self.face_gcn.refine(encoded.embedding, coarse, training=True, unoccluded=unoccluded)
            result = self.face_gcn.render(coarse, texture, crop)
            terms = self.face_gcn.terms(result, crop, encoded.identity_embedding, known, unoccluded, self.workers.mean)
            decays = {one.path: losses.weight_decay([one]) for one in self.network.regularised_variables()}
            terms["weight_decay"] = sum(decays.values(), tf.zeros([]))
            if self.critic is not None:
                # The unweighted score, because it is weighted together with the other terms.
                terms["adversarial"] = generator_loss(self.critic(result.overlay, training=True), adversarial=1.0)
            terms["total"] = losses.weighted_total(terms, weights)
        factored = {product.kernel.path for product in products}
        variables = [variable for variable in self.network.trainable_variables if variable.path not in factored]
        gradients = tape.gradient(terms["total"], [*variables, *[product.output for product in products]])
        thin = {
            product.kernel.path: self._thin_gradient(product, upstream, decays[product.kernel.path], weights)
            for product, upstream in zip(products, gradients[len(variables) :], strict=True)
        }
        # Gradients are clipped after averaging, like the gradients of a whole batch.
        self.optimizer.apply(self.workers.mean(gradients[: len(variables)]), variables)
        return dict(zip(terms, self.workers.mean(list(terms.values())), strict=True)), thin

    def _known_albedo(
        self, encoded: EncodedFaces, coarse: CoarseFace, true_albedo: tf.Tensor | None
    ) -> tf.Tensor | None:
        """Target [B, N, 3] of the albedo: the true one, or the starting network's; None if there is neither."""
        if true_albedo is not None or self.start is None:
            return true_albedo
        sampled, shading = coarse.sampled, coarse.face.shading
        # In training mode, for its own albedo also where the photo shows none.
        texture = self.start(
            encoded.embedding, coarse.albedo, sampled.colour, sampled.visibility, shading, training=True
        )
        return texture[..., 3:]

    def _thin_gradient(
        self, product: DenseProduct, upstream: tf.Tensor, own_decay: tf.Tensor, weights: Mapping[str, tf.Tensor]
    ) -> ThinGradient:
        """Gradient of the loss, including its L2 term, with respect to the weights of a large dense layer.

        `own_decay` is the unweighted L2 term of these weights.
        """
        decay = weights.get("weight_decay", tf.zeros([]))
        # The factors of all rows together are smaller than the averaged gradient, and give it exactly.
        x, upstream, output = self.workers.join([product.x, upstream / self.workers.count, product.output])
        return self.optimizer.thin_gradient(x, upstream, output, decay, 2.0 * own_decay)

    @_compiled
    def _update_critic(
        self, crop: tf.Tensor, coarse: CoarseFace, encoded: EncodedFaces, epsilon: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if self.critic is None:
            raise ValueError("gan.enabled must be true to train a critic, got false")
        texture = self.face_gcn.refine(encoded.embedding, coarse, training=True)
        real, fake = crop[..., :3], self.face_gcn.render(coarse, texture, crop).overlay
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            penalty = gradient_penalty(self.critic, real, fake, epsilon, self.gan.penalty)
            scores = self.critic(real, training=True), self.critic(fake, training=True)
            loss = critic_loss(*scores, penalty, self.gan.adversarial)
        self.critic_optimizer.apply(tape.gradient(loss, variables), variables)
        distance = tf.reduce_mean(tf.norm(2.0 * tf.reshape(real - fake, [tf.shape(crop)[0], -1]), axis=1))
        apart = tf.reduce_mean(scores[0]) - tf.reduce_mean(scores[1])
        return {"critic": loss, "separation": tf.math.divide_no_nan(apart, distance)}


def _copied(pipeline: Pipeline) -> TextureNetwork:
    """A copy of the pipeline's texture network that is not trained and has no dropout."""
    network, config = pipeline.texture_network, pipeline.config
    without_dropout = dataclasses.replace(config, texture=dataclasses.replace(config.texture, drop_rate=0.0))
    mirror = pipeline.face_model.mirror_index
    copy = build_texture_network(without_dropout, network.hierarchy, network.embedding_size, mirror)
    copy.trainable = False
    for ours, theirs in zip(copy.weights, network.weights, strict=True):
        ours.assign(theirs)
    return copy
