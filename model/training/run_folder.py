"""Folder of a training run: its checkpoints, configuration and summary."""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs import schema
from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.runtime.interruption import DeferredStop
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.training.resuming import compare_options, run_options
from model.training.trainer import TextureTrainer
from model.weights.pretrained import keep_previous
from model.weights.texture_weights import save_texture_network

# Sections of the configuration that are kept with the weights.
_RECIPE = ("data", "face_model", "camera", "texture", "loss", "schedule", "train")
CHECKPOINT_SECONDS = 120  # a killed run loses at most this much work


class RunFolder:
    """Starts or resumes a run, and saves its last and its best state.

    Args:
      config: the effective configuration.
      run_dir: the folder.
      trainer: trainer whose variables are saved and restored.
      belongs_to: identifiers that checkpoints must match, see `Pipeline.signature`.
    """

    def __init__(self, config: schema.Config, run_dir: Path, trainer: TextureTrainer, belongs_to: Mapping[str, str]):
        self.config, self.folder, self.trainer, self.belongs_to = config, Path(run_dir), trainer, belongs_to
        self.latest, self.best = self.folder / "latest.npz", self.folder / "best.npz"
        self.summary = self.folder / "training.json"
        self._saved = time.monotonic()

    def begin(self) -> Progress:
        """Restores the last checkpoint if `train.restore` is set, else renames an earlier run's; writes config.yaml.

        Raises:
          UserError: there is no checkpoint to resume, it belongs to another configuration, or the run is finished.
        """
        progress = Progress()
        if self.config.train.restore:
            progress = checkpoints.restore(self.latest, self.trainer.state(), self.belongs_to, self._compare)
            if progress.epoch >= self.config.train.epochs and self._is_summarised(progress):
                raise UserError(
                    f"{self.latest}: has completed {progress.epoch} epochs, got --epoch {self.config.train.epochs} "
                    "(give a larger number to continue training)"
                )
        elif self.trainer.workers.chief:
            self._set_earlier_aside()
        if not self.trainer.workers.chief:
            return progress
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / "config.yaml") as path:
            path.write_text(schema.to_yaml(self.config), encoding="utf-8")
        return progress

    def _is_summarised(self, progress: Progress) -> bool:
        """True if training.json describes this progress; a run killed at its very end leaves an old one or none."""
        try:
            return json.loads(self.summary.read_text(encoding="utf-8"))["updates"] == progress.update
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False

    def _set_earlier_aside(self) -> None:
        """Renames an earlier run's checkpoints: they may have taken weeks, and --restore must not pick them up."""
        for path in (self.latest, self.best):
            if path.is_file():
                aside = path.with_suffix(".previous.npz")
                path.replace(aside)
                print(f"{aside}: the earlier run's checkpoint (--restore would have continued from it)")
        if self.summary.is_file():  # it would be taken for the summary of this run
            self.summary.replace(self.summary.with_suffix(".previous.json"))

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

    def save(self, progress: Progress) -> None:
        """Writes latest.npz."""
        checkpoints.save(self.latest, self.trainer.state(), progress, self.belongs_to, run_options(self.config))
        self._saved = time.monotonic()

    def save_when_due(self, progress: Progress) -> None:
        """Writes latest.npz if the last one is older than CHECKPOINT_SECONDS."""
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.save(progress)

    def keep_best(self, progress: Progress, validation: Mapping[str, float]) -> Progress:
        """Writes best.npz if the validation's PSNR is the best so far; returns the updated progress.

        Raises:
          UserError: no validation crop shows any of the face, so the best state cannot be found.
        """
        if math.isnan(validation["psnr_fine"]):
            raise UserError(
                f"the validation crops must show the face, got none whose mask does after update {progress.update} "
                "(their masks miss the face, or the face has left the picture)"
            )
        if progress.best_psnr is not None and validation["psnr_fine"] <= progress.best_psnr:
            return progress
        progress = dataclasses.replace(progress, best_psnr=validation["psnr_fine"])
        checkpoints.save(self.best, self.trainer.network_state(), progress, self.belongs_to)
        return progress

    def write_weights(self) -> None:
        """Writes the best weights to train.weights, with recipe and accuracy in a .json beside it."""
        path = schema.asset_path(self.config.train.weights)
        progress = checkpoints.restore(self.best, self.trainer.network_state(), self.belongs_to)
        signature = {key: value for key, value in self.belongs_to.items() if key not in checkpoints.ADDED}
        metadata = {
            "network": "texture",
            "command": "python main.py --mode train",
            "config": {name: dataclasses.asdict(getattr(self.config, name)) for name in _RECIPE},
            "updates": progress.update,
            "run": json.loads(self.summary.read_text(encoding="utf-8")),
        }
        keep_previous(path, metadata)
        save_texture_network(path, self.trainer.network, self.belongs_to["face model"], signature, metadata)
        write_json(path.with_suffix(".json"), metadata)
        print(f"{path}: the best weights of this run")

    def write_summary(self, updates: int, seconds: float, validation: Mapping[str, float]) -> None:
        """Writes training.json: the length of the run and the means of its last validation."""
        summary = {"updates": updates, "seconds": round(seconds, 1), **validation}
        write_json(self.summary, summary)
