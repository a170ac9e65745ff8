"""Plan of a training run: order of the crops, learning rates, loss weights and validations, by its progress alone.

Nothing here has a state of its own, so a resumed run continues exactly where an undisturbed one would be.
"""

import math

import numpy as np

from configs import schema
from lib.errors import UserError
from model.input_pipeline.batches import shuffled
from model.runs import schedule
from model.runs.checkpoints import Progress


class TrainingPlan:
    """Crops, learning rates and validations of every update.

    Args:
      config: the effective configuration.
      indices: the training crops in the record file.
      source: the record file's name, for messages.

    Raises:
      UserError: a batch would be larger than the training split.
    """

    def __init__(self, config: schema.Config, indices: list[int], source: str):
        self.config, self.indices = config, indices
        self.batch_size, self.seed = config.train.batch_size, config.train.seed
        if len(indices) < self.batch_size:
            raise UserError(
                f"train.batch_size: must be at most the {len(indices)} training crops of {source}, "
                f"got {self.batch_size} (give a smaller --batch_size)"
            )
        self.updates_per_epoch = config.train.updates_per_epoch or len(indices) // self.batch_size
        self.total = config.train.epochs * self.updates_per_epoch
        every = config.train.eval_every
        # The original's --eval: 0 after each epoch, below 1 a share of an epoch, else a number of updates.
        self.validate_every = max(round(every * self.updates_per_epoch), 1) if 0 < every < 1 else int(every)

    def order(self, progress: Progress) -> list[int]:
        """Records of the rest of the epoch, in shuffled passes; a pass's last, smaller batch is left out."""
        per_update = self.batch_size * (1 + len(self.critic_draws(progress)))
        needed = self.updates_per_epoch * per_update
        order: list[int] = []
        whole = len(self.indices) // self.batch_size * self.batch_size
        for repetition in range(math.ceil(needed / whole)):
            order.extend(shuffled(self.indices, self.seed, progress.epoch, repetition)[:whole])
        return order[progress.update_in_epoch * per_update : needed]

    def critic_draws(self, progress: Progress) -> list[float]:
        """One interpolation factor for each critic step before this update; none while the critic has no weight."""
        gan = self.config.gan
        if not gan.enabled or loss_weights(self.config, progress, self.total)["adversarial"] == 0:
            return []
        return np.random.default_rng([self.seed, progress.update]).uniform(size=gan.critic_steps).tolist()

    def learning_rate(self, progress: Progress) -> float:
        """Of the texture network."""
        return self._rate(progress, self.config.train.learning_rate)

    def critic_rate(self, progress: Progress) -> float:
        """Learning rate of the critic."""
        return self._rate(progress, self.config.gan.learning_rate)

    def validates_after(self, progress: Progress) -> bool:
        """Whether to validate now that `progress.update` updates are made; always after the last one."""
        last = progress.update == self.total
        if self.validate_every:
            return last or progress.update % self.validate_every == 0
        return progress.update_in_epoch == self.updates_per_epoch

    def _rate(self, progress: Progress, peak: float) -> float:
        plan = self.config.schedule
        if plan.rate == "staircase":
            return schedule.staircase_decay(progress.epoch, peak, plan.decay)
        return schedule.warmup_cosine(progress.update, self.total, peak, plan.warmup)


def loss_weights(config: schema.Config, progress: Progress, total: int) -> dict[str, float]:
    """Weight of every loss term at a point of the run: the configuration's, times its stage and schedule."""
    loss, stages = config.loss, config.schedule
    if stages.stages == "published":
        coarse, others = schedule.published_stage_weights(progress.epoch)
        coarse *= loss.coarse
    else:
        others = 1.0
        coarse = schedule.coarse_decay(progress.update, total, loss.coarse, stages.coarse_end, stages.coarse_fraction)
    if config.train.stage == "rec":
        others = 0.0
    elif config.train.stage == "render":
        coarse = 0.0
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
    if loss.identity > 0:  # a term that is never wanted is not computed
        weights["identity"] = others * loss.identity
    if config.gan.enabled:
        weights["adversarial"] = others * config.gan.adversarial
    return weights
