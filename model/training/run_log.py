"""Log of a training run: TensorBoard scalars and images, validation means, sample sheets."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.files.atomic import atomic_path
from lib.images.contact_sheet import contact_sheet
from lib.images.display import to_bytes
from lib.runtime.interruption import DeferredStop
from model.input_pipeline.batches import CropBatch
from model.runs.symptoms import Dependence
from model.training.trainer import TextureTrainer

SCALAR_EVERY = 10  # updates between training scalars, which would otherwise fill the disk in long runs


PSNR = "psnr_"  # beginning of the names of what crops lack in which the mask shows nothing of the face


class Abandoned(Exception):
    """A validation was given up, because the run was told to stop."""


class RunLog:
    """Writes to <run>/logs (TensorBoard) and <run>/samples (PNG sheets).

    Args:
      folder: the run's folder.
      trainer: computes validation terms and reconstructions.
      validation: function that yields single-crop batches of the validation split.
      sample_count: number of faces on a sheet.
      stop: tells between two crops of a validation whether to give it up.
    """

    def __init__(
        self,
        folder: Path,
        trainer: TextureTrainer,
        validation: Callable[[], Iterable[CropBatch]],
        sample_count: int,
        stop: DeferredStop,
    ):
        self.folder, self.trainer, self.validation, self.sample_count = Path(folder), trainer, validation, sample_count
        self._stop = stop
        logged = trainer.workers.chief
        self.writer = (
            tf.summary.create_file_writer(str(self.folder / "logs")) if logged else tf.summary.create_noop_writer()
        )

    def training(self, terms: Mapping[str, float], update: int) -> None:
        """Logs the loss terms of a training update, every `SCALAR_EVERY` updates."""
        if update % SCALAR_EVERY == 0:
            self._scalars("train", terms, update)

    def validate(self, update: int) -> dict[str, float]:
        """Logs and returns the means of all that `TextureTrainer.validate` measures, over the validation crops.

        Crops without a PSNR are left out of its mean. Any other value that is not finite makes its mean so, too.

        `dependence` tells how far the texture follows the photo, over all crops (`Dependence`).

        Raises:
          Abandoned: the process was told to stop.
        """
        sums: dict[str, list[float]] = defaultdict(list)
        dependence = Dependence()
        for batch in self.validation():
            if self._stop.requested:
                raise Abandoned
            terms, texture = self.trainer.validate(batch)
            dependence.add(texture)
            for name, value in terms.items():
                sums[name].append(float(value))
        sums["dependence"] = [dependence.share()]
        means = {name: _mean(values, name.startswith(PSNR)) for name, values in sums.items()}
        self._scalars("validation", means, update)
        return means

    def sample_sheet(self, update: int) -> Path:
        """Writes photo, coarse, fine and overlay of the first validation crops, as PNG and to TensorBoard."""
        rows = []
        for batch in itertools.islice(self.validation(), self.sample_count):
            result = self.trainer.reconstruct(batch.crop, batch.encoded)
            pictures = (batch.crop[..., :3], result.coarse.rendering, result.rendering, result.overlay)
            rows.append([("", to_bytes(picture[0].numpy())) for picture in pictures])
        sheet = contact_sheet(rows)
        with self.writer.as_default(update):
            tf.summary.image("photo, coarse, fine, overlay", np.asarray(sheet)[None])
        path = self.folder / "samples" / f"{update:07d}.png"
        with atomic_path(path) as temporary:
            sheet.save(temporary)
        return path

    def _scalars(self, group: str, values: Mapping[str, float], update: int) -> None:
        with self.writer.as_default(update):
            for name, value in values.items():
                tf.summary.scalar(f"{group}/{name}", value)


def _mean(values: list[float], some_missing: bool) -> float:
    known = [value for value in values if not (some_missing and np.isnan(value))]
    return float(np.mean(known)) if known else np.nan
