"""Interface of the pre-training tasks."""

from collections.abc import Iterable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from configs import training_sections
from lib.synthetic.face_set import FaceSet


class PretrainingTask(Protocol):
    """A network with its optimizer and its training step.

    `inputs` does not read the network, so that the loop computes the next update's while the network trains on these.

    Attributes:
      name: "identity", "regressor" or "mask"; also the network's section of the configuration.
      rates: section of the configuration with the learning rate.
      updates: number of updates.
      faces: all synthetic faces.
      training: indices into `faces` of the training faces.
      network: the network to train and write.
      optimizer: optimizer whose learning rate the loop sets.
      state: all variables needed to resume, by role and name.
    """

    name: str
    rates: str
    updates: int
    faces: FaceSet
    training: np.ndarray
    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    state: dict[str, dict[str, keras.Variable]]

    def inputs(self, positions: np.ndarray, seed: tuple[int, int]) -> tuple[Any, ...]:
        """Loads and augments the faces `training[positions]`; returns the arguments of `update`.

        Args:
          positions: [B] indices into `training`.
          seed: the run's seed and the update's number, which determine all random draws.
        """
        ...

    def update(self, *inputs: Any) -> dict[str, tf.Tensor]:
        """Trains on `inputs`; returns the unweighted loss terms and their weighted `total`."""
        ...


def build_optimizer(
    section: training_sections.Pretrain, variables: Iterable[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Builds Adam with the configuration's clipping, including its slots so that a checkpoint can be restored."""
    optimizer = keras.optimizers.Adam(section.learning_rate, global_clipnorm=section.clip_norm)
    optimizer.build(variables)
    return optimizer
