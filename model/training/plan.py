"""Plan of a training run: order of the crops, learning rates, loss weights and validations.

All of it is a function of the run's progress, without further state, so a resumed run continues exactly like an
uninterrupted one.
"""

import math
from collections.abc import Mapping

import numpy as np

from configs import schema
from lib.errors import UserError
from model.input_pipeline.batches import shuffled
from model.runs import schedule
from model.runs.checkpoints import Progress


class TrainingPlan:
    """Crops, learning rates and validations of every update.

    Args:
      config: the effective configuration; train.epochs and train.learning_rate are settled, not 0.
      indices: indices of the training crops in the record file, at least one batch.
    """

    def __init__(self, config: schema.Config, indices: list[int]):
        self.config, self.indices = config, indices
        self.batch_size, self.seed = config.train.batch_size, config.train.seed
        self.updates_per_epoch = config.train.updates_per_epoch or len(indices) // self.batch_size
        self.total = config.train.epochs * self.updates_per_epoch
        every = config.train.eval_every
        # As in the published --eval: 0 means once per epoch, below 1 a share of an epoch, else a number of updates.
        self.validate_every = max(round(every * self.updates_per_epoch), 1) if 0 < every < 1 else int(every)

    def order(self, progress: Progress) -> list[int]:
        """Records of the rest of the epoch, in shuffled passes; the incomplete last batch of a pass is dropped."""
        per_update = self.batch_size * (1 + len(self.critic_draws(progress)))
        needed = self.updates_per_epoch * per_update
        order: list[int] = []
        whole = len(self.indices) // self.batch_size * self.batch_size
        for repetition in range(math.ceil(needed / whole)):
            order.extend(shuffled(self.indices, self.seed, progress.epoch, repetition)[:whole])
        return order[progress.update_in_epoch * per_update : needed]

    def critic_draws(self, progress: Progress) -> list[float]:
        """Interpolation factors of the critic steps before this update; empty while the critic has no weight."""
        gan = self.config.gan
        if not gan.enabled or loss_weights(self.config, progress, self.total)["adversarial"] == 0:
            return []
        # Four numbers: NumPy fills up with zeros, so that fewer could be the seed of a pass's order (`shuffled`).
        return np.random.default_rng([self.seed, progress.update, 0, 1]).uniform(size=gan.critic_steps).tolist()

    def learning_rate(self, progress: Progress) -> float:
        """Learning rate of the texture network."""
        return self._rate(progress, self.config.train.learning_rate)

    def critic_rate(self, progress: Progress) -> float:
        """Learning rate of the critic."""
        return self._rate(progress, self.config.gan.learning_rate)

    def validates_after(self, progress: Progress) -> bool:
        """True if a validation is due after `progress.update` updates; always after the last one."""
        last = progress.update == self.total
        if self.validate_every:
            return last or progress.update % self.validate_every == 0
        return progress.update_in_epoch == self.updates_per_epoch

    def _rate(self, progress: Progress, peak: float) -> float:
        plan = self.config.schedule
        if plan.rate == "staircase":
            return schedule.staircase_decay(progress.epoch, peak, plan.decay)
        return schedule.warmup_cosine(progress.update, self.total, peak, plan.warmup)


def check_batch_size(config: schema.Config, indices: list[int], source: str) -> None:
    """Raises UserError if the batch size exceeds the number of training crops in the record file `source`."""
    if len(indices) < config.train.batch_size:
        raise UserError(
            f"train.batch_size: must be at most the {len(indices)} training crops of {source}, "
            f"got {config.train.batch_size} (give a smaller --batch_size)"
        )


def loss_weights(config: schema.Config, progress: Progress, total: int) -> dict[str, float]:
    """Weights of the loss terms at a point of the run: the configured weights, scaled by stage and schedule."""
    loss, stages = config.loss, config.schedule
    if stages.stages == "published":
        coarse, others = schedule.published_stage_weights(progress.epoch)
        coarse *= loss.coarse
    else:
        others = 1.0
        end = min(stages.coarse_end, loss.coarse)
        coarse = schedule.coarse_decay(progress.update, total, loss.coarse, end, stages.coarse_fraction)
    if config.train.stage == "rec":
        others = 0.0
    elif config.train.stage == "render":
        coarse, others = 0.0, 1.0  # the published stages begin with the coarse term alone
    weights = {
        "coarse": coarse,
        "render": others * loss.render,
        "project": others * loss.project,
        "hidden": others * loss.hidden,
        "albedo": others * loss.albedo,
        "symmetry": others * loss.symmetry,
        "variance": others * loss.variance,
        "weight_decay": loss.weight_decay,
    }
    if loss.identity > 0:  # without a weight, the term need not be computed
        weights["identity"] = others * loss.identity
    if config.gan.enabled:
        weights["adversarial"] = others * config.gan.adversarial
    return weights


def learns_from_photos(weights: Mapping[str, float]) -> bool:
    """True if loss weights pull the network more towards the photos than towards a copy of the coarse face."""
    return weights["render"] + weights["project"] > weights["coarse"]
