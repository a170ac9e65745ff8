"""Common form of the two pre-training tasks."""

from collections.abc import Iterable
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from configs import training_sections
from lib.synthetic.face_set import FaceSet


class PretrainingTask(Protocol):
    """A network, its optimizer and the update that trains it.

    Attributes:
      name: "identity" or "regressor", the network's section of the configuration, too.
      updates: length of the training.
      faces: all synthetic faces.
      training: those that are trained on, indices into `faces`.
      network: what is trained and written.
      optimizer: its learning rate follows the loop's schedule.
      state: every variable that resuming takes, by role and name.
    """

    name: str
    updates: int
    faces: FaceSet
    training: np.ndarray
    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    state: dict[str, dict[str, keras.Variable]]

    def update(self, positions: np.ndarray, seed: tuple[int, int]) -> dict[str, tf.Tensor]:
        """Trains on the faces `training[positions]`; returns the raw loss terms and their weighted `total`.

        Args:
          positions: [B] indices into `training`.
          seed: the run's seed and the update's number; decides all random draws.
        """
        ...


def build_optimizer(
    section: training_sections.Pretrain, variables: Iterable[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Adam with the configuration's clipping, its slots made at once so that a checkpoint can fill them."""
    optimizer = keras.optimizers.Adam(section.learning_rate, global_clipnorm=section.clip_norm)
    optimizer.build(variables)
    return optimizer
