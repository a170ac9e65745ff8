"""Training loop of the texture networks, from records to checkpoints."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.files.locks import sole_user
from lib.records.record_index import open_records
from lib.records.records import Records
from lib.records.splits import load_split, split_hash
from lib.runtime.interruption import DeferredStop, advised
from lib.runtime.prefetch import prefetch
from lib.runtime.quiet_tensorflow import devices
from lib.synthetic.dataset import crops_key
from model.input_pipeline import batches as crop_batches
from model.input_pipeline.albedo_targets import cached_albedo_targets
from model.input_pipeline.batches import CropBatch
from model.input_pipeline.frozen_outputs import encode_records
from model.input_pipeline.ground_truth import record_truth, rendered_as
from model.networks.encoding import EncodedFaces
from model.pipeline import Pipeline, load_pipeline
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.finite import SeeingCheck, check_finite
from model.runs.processes import check_processes, share_of_batch
from model.runs.symptoms import Symptoms
from model.runs.training_data import TrainingData
from model.training.first_look import look
from model.training.plan import TrainingPlan, check_batch_size, learns_from_photos, loss_weights
from model.training.resuming import run_options
from model.training.run_folder import RunFolder, full_disk_advised
from model.training.run_log import Abandoned, RunLog
from model.training.start import begin_from_weights, keeps_albedo, weights_at_start
from model.training.trainer import PosedBatch, TextureTrainer
from model.training.workers import Workers
from utils import seed_everything

# With several processes, a signal may arrive twice: through the process group, and from the program that started them.
_MERGE_SECONDS = 1.0


def train(
    config: schema.Config, run_dir: Path, encoded: EncodedFaces | None = None, workers: Workers | None = None
) -> dict[str, float]:
    """Trains the texture networks of a configuration on its record file.

    Regressor and identity network stay frozen; their outputs for each crop are computed once. With `train.restore`, an
    interrupted run resumes from its last checkpoint, and ends with the same weights as an uninterrupted run.

    Args:
      config: the effective configuration.
      run_dir: receives latest.npz, best.npz, logs/, samples/, config.yaml and training.json.
      encoded: outputs of the frozen networks for all records; None to compute them.
      workers: the processes that train together; all call this function alike, and the chief alone writes.

    Returns:
      Means of the last validation, e.g. {"psnr_coarse": 22.1, "psnr_fine": 33.0, ...}; empty except in the chief.

    Raises:
      UserError: records, split, weights or checkpoint are missing or do not match; or a loss term is not finite;
        or the masks show no face; or another run trains under this name.
      Interrupted: the process was told to stop; the last checkpoint is saved.
    """
    workers = workers or Workers()
    started, not_yet = time.monotonic(), "nothing was trained yet; the same command starts again"
    with workers.watched(lambda: not_yet), advised(lambda: not_yet):
        return _train(config, Path(run_dir), encoded, workers, started)


def _train(
    config: schema.Config, run_dir: Path, encoded: EncodedFaces | None, workers: Workers, started: float
) -> dict[str, float]:
    """`train`, begun at the time `started`."""
    records = open_records(config.records_path, config.data.image_size)
    split = load_split(config.params_dir, records.names)
    belongs_to = {"records": records.fingerprint, "split": split_hash(split)}
    workers.compare(run_options(config) | {"train.restore": config.train.restore} | belongs_to)
    check_processes(config, workers.count)
    if workers.chief:
        print(f"trains on {devices()}")
    seed_everything(config.train.seed)
    training, held_out = records.indices(split["train"]), records.indices(split["val"])
    check_batch_size(config, training, str(records.path))
    if not held_out:
        raise UserError(
            f"{config.params_dir}: the val split must hold a crop to find the best weights by, got none (pack two "
            "distinct images or more, and keep data.validation above 0)"
        )
    with sole_user(run_dir, "training") if workers.chief else contextlib.nullcontext():
        with workers.chief_first():  # it stores what the others only read
            latest = run_dir / "latest.npz"
            pipeline = load_pipeline(config, weights_at_start(config, latest))
            config, start = begin_from_weights(config, pipeline, latest, workers.chief)
            batches_of, albedo_known = _crop_reader(pipeline, records, training + held_out, encoded)
        own = own_crops(config, records, belongs_to, pipeline.face_model.fingerprint)
        trained_on = tuple(dict.fromkeys([own, *start.trained_on]))
        plan = TrainingPlan(config, training)
        keep_albedo = keeps_albedo(config, start, albedo_known, workers.chief)
        trainer, belongs_to = TextureTrainer(pipeline, workers, keep_albedo), pipeline.signature() | belongs_to
        del pipeline  # frees the regressor, whose outputs are cached
        if workers.chief and not config.train.restore:  # a resumed run was examined when it began
            read = functools.partial(batches_of, workers=config.workers, buffer_size=config.data.buffer_size)
            share = share_of_batch(config.train.batch_size, workers.count)
            look(trainer, read, training, share, records.names, run_dir)
        run = RunFolder(config, run_dir, trainer, belongs_to, started, start, trained_on)
        with workers.chief_first():
            progress = run.begin()
        if workers.count > 1:
            state = {"first update": progress.update, "weights at the start": checkpoints.digest(trainer.state())}
            workers.compare(belongs_to | state)
        stop = DeferredStop(_MERGE_SECONDS if workers.count > 1 else 0.0)
        log = RunLog(run_dir, trainer, functools.partial(batches_of, held_out, 1), config.train.samples, stop)
        with workers.watched(run.advice), advised(run.advice), full_disk_advised(run.advice):
            with stop:
                progress, validation = _run_updates(plan, batches_of, trainer, run, log, progress, stop)
            if workers.chief:
                run.finish(progress, validation)
            workers.barrier()  # a process that left earlier would seem lost to the others
    return validation


def own_crops(config: schema.Config, records: Records, data: Mapping[str, str], face_model: str) -> TrainingData:
    """Describes the run's crops, given their fingerprint and split, for those who measure its network."""
    seed = config.data.synthetic_seed
    synthetic = rendered_as(config, records) == crops_key(face_model, config.data.image_size, seed)
    return TrainingData(data["records"], data["split"], seed if synthetic else None)


def _run_updates(
    plan: TrainingPlan,
    batches_of: Callable[..., Iterator[CropBatch]],
    trainer: TextureTrainer,
    run: RunFolder,
    log: RunLog,
    progress: Progress,
    stop: DeferredStop,
) -> tuple[Progress, dict[str, float]]:
    """Makes all remaining updates; returns the progress and the means of the last validation."""
    config, workers = plan.config, trainer.workers
    validation: dict[str, float] = {}
    size = share_of_batch(config.train.batch_size, workers.count)
    check_seeing, symptoms = SeeingCheck(), Symptoms("texture network")
    bar = tqdm(
        total=plan.total, initial=progress.update, desc="train", unit="update", dynamic_ncols=True,
        disable=not workers.chief,
    )  # fmt: skip
    with bar:
        # A run that was killed after its last update has lost the means of its last validation.
        if progress.unmeasured or progress.update >= plan.total:
            if workers.chief:
                progress, validation = _validate(plan, run, log, symptoms, progress)
            run.stop_if_told(stop, progress)
            if workers.chief:
                progress = run.save(progress)
        while progress.epoch < config.train.epochs:
            order = workers.part(plan.order(progress), config.train.batch_size)
            batches = prefetch(trainer.pose, batches_of(order, size, config.workers, config.data.buffer_size))
            while progress.update_in_epoch < plan.updates_per_epoch:
                terms = _make_update(trainer, plan, batches, progress)
                check_finite(terms, "texture network", progress.update, "train", run.latest)
                check_seeing(terms, progress.update)
                progress = progress.after_update()
                if workers.chief:
                    symptoms.critic(terms)
                    _show(bar, terms["total"], config.train.batch_size)
                    log.training(terms, progress.update)
                    if plan.validates_after(progress):
                        progress, validation = _validate(plan, run, log, symptoms, progress)
                    run.save_when_due(progress)
                run.stop_if_told(stop, progress)
            progress = progress.after_epoch()
            if workers.chief:
                log.sample_sheet(progress.update)
                progress = run.save(progress)
    return progress, validation


def _validate(
    plan: TrainingPlan, run: RunFolder, log: RunLog, symptoms: Symptoms, progress: Progress
) -> tuple[Progress, dict[str, float]]:
    """Validates the network and keeps it if it is the best; returns the progress and the means.

    The run is saved before. If it is told to stop meanwhile, there are no means, and it repeats the validation when it
    continues.
    """
    due = run.save(dataclasses.replace(progress, unmeasured=True))
    try:
        progress = run.measure_start(dataclasses.replace(due, unmeasured=False), log.validate)
        validation = log.validate(progress.update)
    except Abandoned:
        return due, {}
    learns = learns_from_photos(loss_weights(plan.config, progress, plan.total))
    symptoms.measure(validation, progress.update, learns)
    return run.keep_best(progress, validation), validation


def _crop_reader(
    pipeline: Pipeline, records: Records, used: list[int], encoded: EncodedFaces | None
) -> tuple[Callable[..., Iterator[CropBatch]], bool]:
    """Creates a function that yields `batches` of the records, with frozen outputs and true albedos where known.

    Also returns whether they are known.

    Args:
      pipeline: the frozen networks, face model and configuration.
      records: all crops.
      used: indices of the crops used for training or validation.
      encoded: outputs of the frozen networks for all records; None to compute them.
    """
    config = pipeline.config
    # Other runs' outputs may differ in the last bits.
    kind = "-deterministic" if config.train.deterministic else ""
    if encoded is None:
        encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key + kind)
    truth = record_truth(config, records, pipeline.face_model.fingerprint) if config.texture.intrinsic else None
    targets = None
    if truth is not None:
        targets = cached_albedo_targets(
            config.generated_dir, kind, pipeline.face_gcn, records, used, encoded.coefficients, truth
        )
    return functools.partial(crop_batches.batches, records, encoded, targets=targets), targets is not None


def _make_update(
    trainer: TextureTrainer, plan: TrainingPlan, batches: Iterator[PosedBatch], progress: Progress
) -> dict[str, float]:
    """Makes the critic's steps before an update, each on another batch, then the update; returns the loss terms."""
    terms: dict[str, float] = {}
    for epsilon in plan.critic_draws(progress):
        terms |= trainer.update_critic(next(batches), epsilon, plan.critic_rate(progress))
    weights = loss_weights(plan.config, progress, plan.total)
    seed = (plan.seed, progress.update)
    return terms | trainer.update(next(batches), weights, plan.learning_rate(progress), seed)


def _show(bar: tqdm, loss: float, batch_size: int) -> None:
    """Advances the progress bar by one update."""
    bar.update()
    speed = (bar.format_dict["rate"] or 0.0) * batch_size
    bar.set_postfix(loss=f"{loss:.4f}", images_per_s=f"{speed:.1f}", refresh=False)
