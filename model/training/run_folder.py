"""Folder of a training run: its checkpoints, configuration and summary."""

import contextlib
import dataclasses
import itertools
import json
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs import schema
from lib.errors import DiskFull, UserError
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.mesh_sampling import carried_arrays
from lib.runtime.interruption import DeferredStop
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.finite import check_finite
from model.runs.set_aside import PREFIX
from model.runs.training_data import ENTRY, TrainingData, to_json
from model.training.first_look import REFUSED, SHEET
from model.training.resuming import GIVEN, KEEPS_ALBEDO, compare_options, run_options
from model.training.run_log import PSNR
from model.training.start import Start
from model.training.trainer import TextureTrainer
from model.weights.pretrained import keep_previous, read_metadata
from model.weights.texture_weights import save_texture_network

# Sections of the configuration that are kept with the weights.
_RECIPE = ("data", "face_model", "camera", "texture", "loss", "schedule", "train", "gan")
# Those that other modes do not read.
_TRAINING_ONLY = ("loss", "schedule", "train", "gan")
# Identifiers of a run's data, which its weights do not depend on.
_DATA = ("records", "split")
# What is set aside for a new run. The last checkpoint comes first: after a kill halfway, --restore finds none, rather
# than one without its best state.
_EARLIER = ("latest.npz", "best.npz", "training.json", "logs", "samples", "config.yaml", SHEET)


@contextlib.contextmanager
def full_disk_advised(advice: Callable[[], str]) -> Iterator[None]:
    """Context manager in which a full disk comes with advice on how to continue: the same command starts over."""
    try:
        yield
    except DiskFull as error:
        raise DiskFull(error.fact, f"free space; {advice()}") from error


class RunFolder:
    """Starts or resumes a run, and saves its last and its best state.

    Args:
      config: the effective configuration.
      run_dir: the folder.
      trainer: trainer whose variables are saved and restored.
      belongs_to: identifiers that checkpoints must match, see `Pipeline.signature`.
      started: time.monotonic() when this process began with the run.
      start: where the run starts. Trained weights become best.npz until a validation finds better ones.
      trained_on: the crops of the run, and of the weights that it started from.
    """

    def __init__(
        self,
        config: schema.Config,
        run_dir: Path,
        trainer: TextureTrainer,
        belongs_to: Mapping[str, str],
        started: float,
        start: Start,
        trained_on: Sequence[TrainingData],
    ):
        self.config, self.folder, self.trainer, self.belongs_to = config, Path(run_dir), trainer, belongs_to
        self.latest, self.best = self.folder / "latest.npz", self.folder / "best.npz"
        self.summary = self.folder / "training.json"
        self.start, self.trained_on = start, trained_on
        self._levels = carried_arrays(trainer.network.hierarchy)
        self._started, self._saved = started, time.monotonic()

    def begin(self) -> Progress:
        """Restores the last checkpoint if `train.restore` is set, else sets an earlier run aside; writes config.yaml.

        Raises:
          UserError: there is no checkpoint to resume, it belongs to another configuration, or the run is finished.
        """
        progress = Progress()
        if self.config.train.restore:
            progress = checkpoints.restore(self.latest, self.trainer.state(), self.belongs_to, self._compare)
            if progress.epoch >= self.config.train.epochs and self._is_finished(progress):
                raise UserError(
                    f"{self.latest}: has completed {progress.epoch} epochs, got --epoch {self.config.train.epochs} "
                    "(give a larger number to continue training)"
                )
            self._started -= progress.seconds
            progress = dataclasses.replace(progress, best_psnr=self._best_psnr(progress))
        if not self.trainer.workers.chief:
            return progress
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / "config.yaml") as path:
            path.write_text(schema.to_yaml(self.config), encoding="utf-8")
            if not self.config.train.restore:  # only now that the run can begin
                self._set_earlier_aside()
        if not self.config.train.restore and (self.folder / REFUSED).exists():
            (self.folder / REFUSED).replace(self.folder / SHEET)
        if self.start.from_weights:
            self._save_best(progress)
        return progress

    def _best_psnr(self, progress: Progress) -> float | None:
        """PSNR of best.npz, which may be newer than the checkpoint.

        None if neither was validated, or if best.npz is missing: the next validation then writes it.
        """
        if not self.best.is_file():
            return None
        best = checkpoints.restore(self.best, {}, self.belongs_to).best_psnr
        return max((psnr for psnr in (progress.best_psnr, best) if psnr is not None), default=None)

    def _is_finished(self, progress: Progress) -> bool:
        """True if training.json describes this progress and train.weights, if any, this run.

        A run killed at its very end leaves an old training.json or none; train.weights may have been given only now.
        """
        try:
            summary = json.loads(self.summary.read_text(encoding="utf-8"))
            if summary["updates"] != progress.update:
                return False
            if not self.config.train.weights:
                return True
            path = schema.asset_path(self.config.train.weights)
            written = read_metadata(path, "train")["run"] if path.is_file() else {}
            return all(written.get(key) == summary[key] for key in ("updates", "seconds"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False

    def _set_earlier_aside(self) -> None:
        """Moves an earlier run to a folder of its own: it may have taken weeks, and --restore must not pick it up."""
        earlier = [path for name in _EARLIER if (path := self.folder / name).exists()]
        if earlier in ([], [self.folder / SHEET]):  # an earlier version's start that was refused leaves a sheet
            return
        folders = (self.folder / f"{PREFIX}{number}" for number in itertools.count(1))
        aside = next(folder for folder in folders if not folder.exists())
        aside.mkdir()
        print(f"{aside}: the earlier run{' (--restore would have continued it)' if self.latest in earlier else ''}")
        for path in earlier:
            path.replace(aside / path.name)

    def _compare(self, earlier: Mapping[str, Any] | None) -> None:
        compare_options(self.config, earlier, self.latest)

    def advice(self) -> str:
        """Advice on how to continue after an interruption; valid at any time after `begin`."""
        if self.latest.is_file():
            return f"{self.latest} is saved; the same command with --restore continues from it"
        return "no checkpoint was written yet; the same command starts again"

    def stop_if_told(self, stop: DeferredStop, progress: Progress) -> None:
        """Between two updates: if any of the processes was told to stop, saves the run and raises Interrupted."""
        if self.trainer.workers.any(stop.requested):
            if self.trainer.workers.chief:
                self.save(progress)
            self.trainer.workers.barrier()
            raise stop.interruption(self.advice())

    def save(self, progress: Progress) -> Progress:
        """Writes latest.npz; returns the progress with the seconds of this process and of those before it."""
        progress = dataclasses.replace(progress, seconds=time.monotonic() - self._started)
        started = {GIVEN: dict(self.start.given), KEEPS_ALBEDO: self.trainer.start is not None}
        options, state = run_options(self.config) | started, self.trainer.state()
        checkpoints.save(
            self.latest, state, progress, self.belongs_to, options, trained_on=self.trained_on, levels=self._levels
        )
        self._saved = time.monotonic()
        return progress

    def save_when_due(self, progress: Progress) -> None:
        """Writes latest.npz if the last one is older than `checkpoints.SECONDS`."""
        if time.monotonic() - self._saved > checkpoints.SECONDS:
            self.save(progress)

    def measure_start(self, progress: Progress, validate: Callable[[int], dict[str, float]]) -> Progress:
        """Before a run's first validation, validates the trained weights that it started from; returns the progress.

        Training may only have made them worse. They are measured no earlier, so that training begins at once.

        Args:
          progress: position of the run.
          validate: measures the network after the given number of updates.
        """
        if progress.best_psnr is not None or not self.best.is_file():
            return progress
        state = self.trainer.network_state()
        trained = {name: np.array(variable) for name, variable in state["texture"].items()}
        start = checkpoints.restore(self.best, state, self.belongs_to)
        try:
            start = self.keep_best(start, validate(start.update))
        finally:
            for name, variable in state["texture"].items():
                variable.assign(trained[name])
        return dataclasses.replace(progress, best_psnr=start.best_psnr)

    def keep_best(self, progress: Progress, validation: Mapping[str, float]) -> Progress:
        """Writes best.npz if the validation's PSNR is the best so far; returns the updated progress.

        Raises:
          UserError: no validation crop shows any of the face, so the best state cannot be found; or another mean is not
            finite, as of weights that are not, or of a single crop.
        """
        # The others compare textures, whatever the masks show; photos that are all alike have no dependence.
        terms = {k: v for k, v in validation.items() if not k.startswith(PSNR) and k != "dependence"}
        check_finite(terms, "texture network", progress.update, "train", self.latest)
        if math.isnan(validation["psnr_fine"]):
            raise UserError(
                f"the validation crops must show the face, got none whose mask does after update {progress.update} "
                "(their masks miss the face, or the face has left the picture)"
            )
        if progress.best_psnr is not None and validation["psnr_fine"] <= progress.best_psnr:
            return progress
        progress = dataclasses.replace(progress, best_psnr=validation["psnr_fine"])
        self._save_best(progress, validation)
        return progress

    def _save_best(self, progress: Progress, validation: Mapping[str, float] | None = None) -> None:
        state = self.trainer.network_state()
        checkpoints.save(self.best, state, progress, self.belongs_to, None, validation, self.trained_on, self._levels)

    def finish(self, progress: Progress, validation: Mapping[str, float]) -> None:
        """Ends the run: writes train.weights, if any, and training.json; prints what was reached and how to use it.

        Args:
          progress: position of the run.
          validation: means of its last validation, which training.json holds beside the run's length.
        """
        best = checkpoints.restore(self.best, {}, self.belongs_to)
        unchanged = "" if best.update else "; the weights that the run started from, as no validation was better"
        print(f"{self.best}: {best.best_psnr:.1f} dB in the photo's view of validation crops{unchanged}")
        length = {"updates": progress.update, "seconds": round(progress.seconds, 1)}
        if self.config.train.weights:
            self._write_weights(length)
        # Last, because --restore takes a run with a summary for finished.
        write_json(self.summary, {**length, **validation})
        command = ["python", "main.py", "--mode", "test", *self._options(), "--input", "PHOTOS"]
        print(f"reconstruct photos with it: {shlex.join(command)}")

    def _options(self) -> list[str]:
        """Options with which another mode finds this run's network: those of its name, or its whole configuration."""
        name, default = self.config.data.name, schema.load().data.name
        usual = schema.load(overrides={"data.name": name})
        sections = [section for section in schema.section_types() if section not in _TRAINING_ONLY]
        if usual.run_dir != self.folder or any(getattr(usual, s) != getattr(self.config, s) for s in sections):
            return ["--config", str(self.folder / "config.yaml")]
        return ["--name", name] if name != default else []

    def _write_weights(self, length: Mapping[str, float]) -> None:
        """Writes the best weights to train.weights, with recipe and accuracy in a .json beside it."""
        path = schema.asset_path(self.config.train.weights)
        progress = checkpoints.restore(self.best, self.trainer.network_state(), self.belongs_to)
        signature = {key: value for key, value in self.belongs_to.items() if key not in _DATA}
        # Whether the run was ever interrupted does not matter to its weights.
        config = dataclasses.replace(self.config, train=dataclasses.replace(self.config.train, restore=False))
        metadata = {
            "network": "texture",
            "config": {name: dataclasses.asdict(getattr(config, name)) for name in _RECIPE},
            "updates": progress.update,
            ENTRY: to_json(self.trained_on),
            "run": {**length, **(checkpoints.read_validation(self.best) or {})},
        }
        keep_previous(path, self.trainer.network)
        save_texture_network(path, self.trainer.network, self.belongs_to["face model"], signature, metadata)
        write_json(path.with_suffix(".json"), metadata)
        print(f"{path}: the best weights of this run")
