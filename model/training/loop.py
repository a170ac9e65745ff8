"""Training of the texture networks: the loop, from records to checkpoints."""

import dataclasses
import functools
import math
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.records.record_file import RecordReader
from lib.records.splits import load_split
from lib.runtime.prefetch import prefetch
from model.input_pipeline import batches as crop_batches
from model.input_pipeline.albedo_targets import albedo_targets
from model.input_pipeline.frozen_outputs import EncodedFaces, encode_records
from model.input_pipeline.ground_truth import record_truth
from model.pipeline import load_pipeline
from model.runs import checkpoints, schedule
from model.runs.checkpoints import Progress
from model.training.run_log import RunLog
from model.training.trainer import TextureTrainer
from utils import seed_everything

CHECKPOINT_SECONDS = 120  # a killed run loses at most this much


def train(config: schema.Config, run_dir: Path, encoded: EncodedFaces | None = None) -> dict[str, float]:
    """Trains the texture networks of a configuration on its record file.

    The regressor and the identity network stay frozen; what they say of each crop is computed once. Killed runs go on
    with `train.restore` where the last checkpoint was written, and end with the same weights as an undisturbed run.

    Args:
      config: the effective configuration.
      run_dir: receives latest.npz, best.npz, logs/, samples/, config.yaml and training.json.
      encoded: coefficients and embeddings of the records, if others than the frozen networks' are to be used.

    Returns:
      The last validation's means, e.g. {"psnr_coarse": 22.1, "psnr_fine": 33.0, ...}.

    Raises:
      UserError: missing or unfitting records, split, weights or checkpoint; or a loss term that is not finite.
    """
    started = time.monotonic()
    seed_everything(config.train.seed)
    records = RecordReader(config.records_path, config.data.image_size)
    split = load_split(config.params_dir)
    plan = _Plan(config, records.indices(split["train"]), str(records.path))
    if not split["val"]:
        raise UserError(
            f"{config.params_dir}: the val split must hold a crop to find the best weights by, got none (pack two "
            "images or more, and keep data.validation above 0)"
        )
    pipeline = load_pipeline(config)
    if encoded is None:
        encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.encoder_key)
    truth = record_truth(config, records, pipeline.face_model.fingerprint) if config.texture.intrinsic else None
    targets = None
    if truth is not None:
        used = [index for part in ("train", "val") for index in records.indices(split[part])]
        targets = albedo_targets(pipeline.face_gcn, records, used, encoded.coefficients, truth)
    trainer = TextureTrainer(pipeline)
    run = _Run(config, Path(run_dir), trainer, pipeline.signature())
    progress = run.begin()
    batches_of = functools.partial(crop_batches.batches, records, encoded, targets=targets)
    validation = functools.partial(batches_of, records.indices(split["val"]), 1)
    log = RunLog(run_dir, trainer, validation, config.train.samples)

    result: dict[str, float] = {}
    bar = tqdm(total=plan.total, initial=progress.update, desc="train", unit="update", dynamic_ncols=True)
    while progress.epoch < config.train.epochs:
        read = batches_of(plan.order(progress), config.train.batch_size, config.workers, config.data.buffer_size)
        batches = prefetch(trainer.pose, read)
        while progress.update_in_epoch < plan.updates_per_epoch:
            weights, rate = loss_weights(config, progress, plan.total), plan.learning_rate(progress)
            terms = {}
            for epsilon in plan.critic_draws(progress):
                terms |= trainer.update_critic(next(batches), epsilon=epsilon, rate=plan.critic_rate(progress))
            terms |= trainer.update(next(batches), weights, rate, seed=(config.train.seed, progress.update))
            _check_finite(terms, progress.update, run.latest)
            progress = progress.after_update()
            bar.update()
            speed = (bar.format_dict["rate"] or 0.0) * config.train.batch_size
            bar.set_postfix(loss=f"{terms['total']:.4f}", images_per_s=f"{speed:.1f}", refresh=False)
            log.training(terms, progress.update)
            if plan.validates_after(progress):
                result = log.validate(progress.update)
                progress = run.keep_best(progress, result)
            run.save_now_and_then(progress)
        progress = progress.after_epoch()
        log.sample_sheet(progress.update)
        run.save(progress)
    bar.close()
    summary = {"updates": progress.update, "seconds": round(time.monotonic() - started, 1), **result}
    write_json(Path(run_dir) / "training.json", summary)
    return result


def loss_weights(config: schema.Config, progress: Progress, total: int) -> dict[str, float]:
    """Weight of every loss term at a point of the run: the configuration's, times its stage and schedule."""
    loss, plan = config.loss, config.schedule
    if plan.stages == "published":
        coarse, others = schedule.published_stage_weights(progress.epoch)
        coarse *= loss.coarse
    else:
        others = 1.0
        coarse = schedule.coarse_decay(progress.update, total, loss.coarse, plan.coarse_end, plan.coarse_fraction)
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


class _Run:
    """The run's folder: starting, going on, keeping the last and the best state."""

    def __init__(self, config: schema.Config, run_dir: Path, trainer: TextureTrainer, belongs_to: dict[str, str]):
        self.config, self.folder, self.trainer, self.belongs_to = config, Path(run_dir), trainer, belongs_to
        self.latest, self.best = self.folder / "latest.npz", self.folder / "best.npz"
        self._saved = time.monotonic()

    def begin(self) -> Progress:
        progress = Progress()
        if self.config.train.restore:
            progress = checkpoints.restore(self.latest, self.trainer.state(), self.belongs_to)
            if progress.epoch >= self.config.train.epochs:
                raise UserError(
                    f"{self.latest}: has made its {progress.epoch} epochs, got --epoch {self.config.train.epochs} "
                    "(ask for more epochs to train on)"
                )
        else:
            self._set_earlier_aside()
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / "config.yaml") as path:
            path.write_text(schema.to_yaml(self.config))
        return progress

    def _set_earlier_aside(self) -> None:
        """An earlier run's checkpoints may be worth weeks, and --restore must not go on from them."""
        for path in (self.latest, self.best):
            if path.is_file():
                aside = path.with_suffix(".previous.npz")
                path.replace(aside)
                print(f"{aside}: the earlier run's (with --restore it would have gone on)")

    def save(self, progress: Progress) -> None:
        checkpoints.save(self.latest, self.trainer.state(), progress, self.belongs_to)
        self._saved = time.monotonic()

    def save_now_and_then(self, progress: Progress) -> None:
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.save(progress)

    def keep_best(self, progress: Progress, validation: dict[str, float]) -> Progress:
        if not validation["psnr_fine"] > progress.best_psnr:  # NaN is no better, either
            return progress
        progress = dataclasses.replace(progress, best_psnr=validation["psnr_fine"])
        checkpoints.save(self.best, self.trainer.network_state(), progress, self.belongs_to)
        return progress


class _Plan:
    """Which crops, rates and validations belong to which update: functions of the progress alone."""

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
        """Records of what is left of the epoch, in shuffled passes; a pass's last, smaller batch is left out."""
        per_update = self.batch_size * (1 + len(self.critic_draws(progress)))
        needed, order = self.updates_per_epoch * per_update, []
        whole = len(self.indices) // self.batch_size * self.batch_size
        for repetition in range(math.ceil(needed / whole)):
            order.extend(crop_batches.shuffled(self.indices, self.seed, progress.epoch, repetition)[:whole])
        return order[progress.update_in_epoch * per_update : needed]

    def critic_draws(self, progress: Progress) -> list[float]:
        """One interpolation factor for each critic step before this update; none while the critic is not used yet."""
        gan = self.config.gan
        if not gan.enabled or loss_weights(self.config, progress, self.total)["adversarial"] == 0:
            return []
        return np.random.default_rng([self.seed, progress.update]).uniform(size=gan.critic_steps).tolist()

    def learning_rate(self, progress: Progress) -> float:
        return self._rate(progress, self.config.train.learning_rate)

    def critic_rate(self, progress: Progress) -> float:
        return self._rate(progress, self.config.gan.learning_rate)

    def validates_after(self, progress: Progress) -> bool:
        last = progress.update == self.total
        if self.validate_every:
            return last or progress.update % self.validate_every == 0
        return progress.update_in_epoch == self.updates_per_epoch

    def _rate(self, progress: Progress, peak: float) -> float:
        plan = self.config.schedule
        if plan.rate == "staircase":
            return schedule.staircase_decay(progress.epoch, peak, plan.decay)
        return schedule.warmup_cosine(progress.update, self.total, peak, plan.warmup)


def _check_finite(terms: dict[str, float], update: int, latest: Path) -> None:
    for name, value in terms.items():
        if not math.isfinite(value):
            kept = f"; {latest} holds the last good state" if latest.exists() else ""
            raise UserError(
                f"loss term '{name}' must be finite, got {value} at update {update} "
                f"(lower train.learning_rate or its weight{kept})"
            )
