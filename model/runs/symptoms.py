"""Symptoms of failing training: each is reported once, with advice, and the run continues.

The measures are loss terms without a weight, so they also appear in the log.
"""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lib.tensor_structure import TensorStructure

# Share of the differences between photos that the output follows; below it, the network predicts one face for all.
# Healthy runs follow 0.8 and more after an epoch; a network that has only learned the mean, 0.
FOLLOWED = 0.1
EARLIEST = 200  # updates before which networks may still predict the mean
# Share of the face that is black or overexposed in the coarse rendering and not in the photo. A healthy regressor's
# light leaves 0.01 or less there.
SATURATED = 0.15
DARK, BRIGHT = 0.02, 0.98  # photos are not black or overexposed between these, RGB in [0, 1]
LIGHT_ADVICE = (
    "the regressor's light does not fit these photos: compare both in the sample sheets, leave such photos out, or "
    "train a regressor for them with --mode pretrain"
)
# Mean separation of the critic (`TextureTrainer.update_critic`) over `WINDOW` updates. Above it, and if it has grown
# since the window before, the critic has left the slope of 1 that the gradient penalty asks for.
SEPARATION = 2.0
WINDOW = 50


@dataclass(frozen=True)
class PredictedTexture(TensorStructure):
    """The network's part of B textures, and the part that would reproduce the photos.

    Attributes:
      made, wanted: [B, N, 3].
      visibility: [B, N, 1] in [0, 1].
    """

    made: tf.Tensor
    wanted: tf.Tensor
    visibility: tf.Tensor


class Dependence:
    """Share of the differences between photos that an output follows: the slope of a regression over many crops.

    1: the output changes from photo to photo as it should; 0: it is the same for all, or changes without relation.
    """

    SMALLEST = 0.01  # spread of what is wanted, below which the photos are all alike

    def __init__(self) -> None:
        self._crops = 0
        self._sums: Sequence[np.ndarray] = ()

    def add(self, texture: PredictedTexture) -> None:
        """Adds B crops."""
        made, wanted, weight = (
            np.asarray(values, np.float64) for values in (texture.made, texture.wanted, texture.visibility)
        )
        products = (weight, weight * made, weight * wanted, weight * made * wanted, weight * wanted * wanted)
        sums = [product.sum(axis=0) for product in products]
        self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)] if self._crops else sums
        self._crops += len(made)

    def share(self) -> float:
        """The share; NaN if there are fewer than three crops or they are all alike."""
        if self._crops < 3:
            return np.nan
        weight, made, wanted, product, square = self._sums
        seen = np.maximum(weight, 1e-9)
        together = product - made * wanted / seen
        apart = square - wanted * wanted / seen
        if apart.sum() <= self.SMALLEST**2 * 3 * weight.sum():
            return np.nan
        return float(together.sum() / apart.sum())


def batch_dependence(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """`Dependence` of predictions [B, D] on the truth [B, D] within a batch; 0 if the truth is the same everywhere."""
    predicted, truth = (values - tf.reduce_mean(values, axis=0) for values in (predicted, truth))
    return tf.math.divide_no_nan(tf.reduce_sum(predicted * truth), tf.reduce_sum(truth * truth))


def saturation(rendering: tf.Tensor, image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Share of a face's values that are black or overexposed in a rendering and not in the photo.

    Args:
      rendering, image: [..., 3] RGB; the photo's in [0, 1].
      mask: [..., 1] in [0, 1], 1 on the face.
    """
    out = (rendering <= 0.0) | (rendering >= 1.0)
    wrong = tf.cast(out & (image > DARK) & (image < BRIGHT), mask.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(wrong * mask), 3 * tf.reduce_sum(mask))


class Symptoms:
    """Reports symptoms on stderr.

    Args:
      network: name of the trained network, for the messages.
      smooth: number of measurements over which `followed` and `saturated` are averaged.
      light_advice: what to do about saturated light.
    """

    def __init__(self, network: str, smooth: int = 1, light_advice: str = LIGHT_ADVICE):
        self.network, self._smooth, self._light_advice = network, smooth, light_advice
        self._recent: dict[str, deque[float]] = {}
        self._said: set[str] = set()
        self._separations: list[float] = []
        self._window_before = 0.0

    def measure(self, terms: Mapping[str, SupportsFloat], update: int, learning: bool = True) -> None:
        """Takes the measures among the loss terms of an update or a validation.

        Args:
          terms: `dependence` or `dependence ...`, and `saturated`.
          update: number of updates so far.
          learning: whether the network has been learning from the photos, rather than copying the coarse face.
        """
        for name, value in terms.items():
            if not name.startswith(("dependence", "saturated")):
                continue
            recent = self._recent.setdefault(name, deque(maxlen=max(self._smooth, 2)))
            if update < EARLIEST or not learning:
                recent.clear()
                continue
            recent.append(float(value))
            if len(recent) < (recent.maxlen or 0):
                continue
            if name == "saturated" and np.mean(recent) > SATURATED:
                self._say(
                    name,
                    f"{np.mean(recent):.0%} of the faces are black or overexposed in the coarse rendering and not in "
                    f"the photos ({self._light_advice})",
                )
            elif name != "saturated" and max(recent) < FOLLOWED:
                what = name.removeprefix("dependence").strip() or "texture"
                self._say(
                    name,
                    f"the {self.network}'s {what} is nearly the same for every photo, it follows {recent[-1]:.0%} of "
                    "their differences (a mean face: lower the learning rate and the weights of terms that pull to "
                    "the mean, or start again with another seed)",
                )

    def critic(self, terms: Mapping[str, SupportsFloat]) -> None:
        """Takes the critic's `separation`, if it is among the terms of an update."""
        if "separation" not in terms:
            return
        self._separations.append(float(terms["separation"]))
        if len(self._separations) < WINDOW:
            return
        mean = float(np.mean(self._separations))
        self._separations = []
        if mean > SEPARATION and mean > self._window_before > 0:
            self._say(
                "critic",
                f"the critic has won: it separates photos and renderings by {mean:.1f} times their distance, where 1 "
                "is the most that the gradient penalty allows, and still more, so its gradient no longer leads the "
                "network (lower gan.learning_rate or gan.critic_steps, or raise gan.penalty)",
            )
        self._window_before = mean

    def _say(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            tqdm.write(f"warning: {text}", file=sys.stderr)  # between two states of the progress bar
