"""Training of the mask decoder on the frozen feature maps of the face mesh network."""

import keras
import numpy as np
import tensorflow as tf

from configs import network_sections, training_sections
from lib.face_mesh.features import crop_features
from lib.face_mesh.network import Square
from lib.synthetic.face_set import FaceSet
from model.networks.mask_decoder import SIDE, MaskDecoder
from model.networks.variable_names import network_variables, optimizer_variables
from model.pretraining.mask_faces import random_crop
from model.pretraining.task import build_optimizer

# Random changes of each face. Their feature maps are kept in memory (550 kB each), because computing them takes as long
# as everything else: 1.1 GB for the default number of faces, 1,000, and never more than 2.2 GB.
VARIANTS = 2
KEPT = 4000


class MaskTask:
    """Trains the mask decoder: cross-entropy per cell, and the overlap of whole masks.

    Args:
      section: the configuration's section `mask`.
      pretrain: the section `pretrain` with the settings of `section`, for the optimizer.
      faces: synthetic faces with occluders.
      training: indices into `faces` of the training faces.
      squares: the face mesh network's, of all faces.
    """

    name, rates = "mask", "mask"

    def __init__(
        self,
        section: network_sections.Mask,
        pretrain: training_sections.Pretrain,
        faces: FaceSet,
        training: np.ndarray,
        squares: list[Square],
    ):
        self.faces, self.training, self.squares = faces, training, squares
        self.updates, self.seed = section.updates, section.seed
        self._examples: dict[tuple[int, int], tuple[list[np.ndarray], np.ndarray, np.ndarray]] = {}
        self.network = MaskDecoder()
        self.optimizer = build_optimizer(pretrain, self.network.trainable_variables)
        self.state = {
            "network": network_variables(self.network.weights),
            "optimizer": optimizer_variables(self.optimizer),
        }

    def inputs(self, positions: np.ndarray, seed: tuple[int, int]) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Feature maps, pictures [B, 96, 96, 3] and shares of skin [B, 96, 96] of the faces training[positions]."""
        # NumPy fills seeds up with zeros, so this is also the stream of the order of the pass `seed[1]` (`BatchOrder`),
        # and of the first variant of the face `seed[1]` (`_example`). The shipped weights were trained so; it stays.
        variants = np.random.default_rng(seed).integers(VARIANTS, size=len(positions))
        rows = zip(self.training[positions].tolist(), variants.tolist(), strict=True)
        return _stacked([self._example(index, variant) for index, variant in rows])

    def unchanged(self, indices: np.ndarray) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Feature maps, pictures [B, 96, 96, 3] and shares of skin [B, 96, 96] of faces without random changes."""
        return _stacked([self._look(index, None) for index in indices])

    def _example(self, index: int, variant: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        key = (index, variant)
        if key in self._examples:
            return self._examples[key]
        example = self._look(index, np.random.default_rng([self.seed, index, variant]))
        if len(self._examples) < KEPT:
            self._examples[key] = example
        return example

    def _look(
        self, index: int, generator: np.random.Generator | None
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        pixels, share = random_crop(self.faces.images[index], self.squares[index], generator)
        picture = pixels.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3)) / 255
        return [level.astype(np.float16) for level in crop_features(pixels)], picture.astype(np.float16), share

    @tf.function(autograph=False)
    def update(self, maps: list[tf.Tensor], pictures: tf.Tensor, shares: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on `inputs`; returns the loss terms."""
        with tf.GradientTape() as tape:
            log_odds = self.network(maps, pictures, training=True)
            entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(shares, log_odds))
            found = tf.sigmoid(log_odds)
            common, total = tf.reduce_sum(found * shares, [1, 2]), tf.reduce_sum(found + shares, [1, 2])
            overlap = tf.reduce_mean(1 - (2 * common + 1) / (total + 1))
            loss = entropy + 0.5 * overlap
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"cross-entropy": entropy, "overlap": overlap, "total": loss}


def _stacked(rows: list) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    maps, pictures, shares = zip(*rows, strict=True)
    levels = [tf.constant(np.stack(level), tf.float32) for level in zip(*maps, strict=True)]
    return levels, tf.constant(np.stack(pictures), tf.float32), tf.constant(np.stack(shares))


def mask_metrics(network: keras.Model, task: MaskTask, indices: np.ndarray, batch_size: int) -> dict[str, float]:
    """Mean intersection over union of predicted and true masks at 96 px, on the faces `indices`."""
    overlaps: list[float] = []
    for start in range(0, len(indices), batch_size):
        maps, pictures, shares = task.unchanged(indices[start : start + batch_size])
        found, true = network(maps, pictures).numpy() > 0, shares.numpy() > 0.5
        overlaps += ((found & true).sum((1, 2)) / np.maximum((found | true).sum((1, 2)), 1)).tolist()
    return {"faces": len(indices), "iou": float(np.mean(overlaps)), "iou_lowest": float(np.min(overlaps))}
