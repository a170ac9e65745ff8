"""Pre-training of the regressor: direct supervision by true coefficients, weak supervision by the photo."""

import keras
import numpy as np
import tensorflow as tf

from configs import schema
from lib.face_model.coefficients import Coefficients
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.synthetic.face_set import FaceSet
from model.morphable_model import MorphableModel
from model.networks.mirroring import mirrored_coefficients
from model.networks.regressor import build_regressor
from model.networks.variable_names import network_variables, optimizer_variables
from model.pretraining.augmentation import Changes, augment, mirror_some
from model.pretraining.losses import DirectSupervision, WeakSupervision, total_weak_loss
from model.pretraining.task import build_optimizer
from model.weights.resnet_weights import initialise

# Direct terms; each has a weight of the same name in the configuration's section `pretrain`.
DIRECT = ("coefficients", "landmarks", "dense", "turned", "rotation", "translation", "canonical", "albedo", "light")


class RegressorTask:
    """Trains the regressor: direct terms on the whole batch, weak terms on part of it.

    Args:
      config: the effective configuration.
      faces: all synthetic faces.
      training: indices into `faces` of the training faces.
      face_model: the model of the coefficients.
      camera: camera of the faces' images.
      identity_network: frozen network for the weak perceptual term.
    """

    name, rates = "regressor", "pretrain"

    def __init__(
        self,
        config: schema.Config,
        faces: FaceSet,
        training: np.ndarray,
        face_model: FaceModel,
        camera: Camera,
        identity_network: keras.Model,
    ):
        self.faces, self.training, self.section = faces, training, config.pretrain
        self.updates = config.pretrain.regressor_updates
        self.layout = face_model.layout
        self.network = build_regressor(config.regressor, self.layout)
        if self.section.initial:
            print(initialise(self.network.resnet, config))
        self.mirror = tf.constant(mirrored_coefficients(face_model)) if config.pretrain.mirror else None
        self.direct = DirectSupervision(face_model, camera, config.pretrain.vertices)
        self.weak = WeakSupervision(MorphableModel(face_model), camera, identity_network)
        self.weak_count = max(round(config.pretrain.weak_share * config.pretrain.batch_size), 1)
        self.variables = self.network.trainable_variables
        self.optimizer = build_optimizer(config.pretrain, self.variables)
        self.state = {
            "network": network_variables(self.network.weights),
            "optimizer": optimizer_variables(self.optimizer),
        }

    def inputs(self, positions: np.ndarray, seed: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Augmented images [B, H, W, 3] and alpha [B, H, W, 1] of training[positions], and true coefficients [B, K]."""
        indices = self.training[positions]
        truth = tf.constant(self.faces.coefficients[indices])
        return self._augmented(tf.constant(self.faces.images[indices]), truth, tf.constant(seed))

    @tf.function(autograph=False)
    def _augmented(self, images, truth, seed):
        if self.mirror is not None:
            images, truth = mirror_some(images, truth, self.mirror, seed + 1)
        parts = self.layout.split(truth)
        seen = augment(images, parts.light, seed, Changes.of(self.section))
        return seen.images, seen.alpha, self.layout.join(Coefficients(**{**vars(parts), "light": seen.light}))

    @tf.function(autograph=False)
    def update(self, images: tf.Tensor, alpha: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on `inputs`; returns the unweighted terms and their weighted total."""
        section, few = self.section, self.weak_count
        with tf.GradientTape() as tape:
            predicted, _ = self.network(images, training=True)
            terms = self.direct(predicted, truth) | self.direct.symptoms(predicted, truth)
            total = sum(getattr(section, name) * terms[name] for name in DIRECT)
            if section.weak > 0:
                weak = self.weak(predicted[:few], images[:few], alpha[:few], self.direct.landmarks(truth[:few]))
                terms |= {f"weak {name}": value for name, value in weak.items()}
                total += section.weak * total_weak_loss(weak)
        self.optimizer.apply(tape.gradient(total, self.variables), self.variables)
        return {**terms, "total": total}
