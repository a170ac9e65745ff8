"""--mode test in shards: any scheduler runs the parts, and merging gives page and tables of one process.

All shards write the photos' folders to the output folder that one process would write. What page and tables show of a
shard's photos goes to a file of its own (`model.reconstruction.shards.result_file`), from which a killed shard resumes.

This module does not import TensorFlow: the processes that do the work import it (`model.reconstruction.worker`).
"""

import contextlib
import dataclasses
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from configs import schema
from lib.errors import UserError
from lib.files.own_code import code_version
from lib.files.shards import (
    FOLDER,
    Shard,
    changed_photo,
    check_same_recipe,
    finished,
    options_digest,
    shared_recipe,
)
from lib.messages import counted
from lib.runtime.interruption import Interrupted
from lib.sidecar.photo_key import photo_key
from model.photos.in_hand import PhotosInHand
from model.reconstruction.folder import IN_HAND, find_jobs, reconstruct_photos
from model.reconstruction.result_folder import SHEET_ROWS, Job, ResultFolder, check_replaceable
from model.reconstruction.shards.records import PhotoRecord
from model.reconstruction.shards.result_file import SUFFIX, ShardResults, read_recipe, read_results

# Sections of the configuration that do not change a reconstruction.
_OTHERS = ("loss", "schedule", "train", "gan", "track", "serve", "pretrain", "evaluate")


@dataclasses.dataclass(frozen=True)
class Photos:
    """All photos, and what determines their results.

    Attributes:
      source: folder that they are named from.
      jobs: the photos.
      options: hash of code, options, weights and face model.
      beside: sidecar files count.
    """

    source: Path
    jobs: Sequence[Job]
    options: str
    beside: bool

    @classmethod
    def find(cls, config: schema.Config, source: Path, output: Path) -> "Photos":
        """Lists the photos; raises UserError if there are none."""
        source, jobs = find_jobs(source, output)
        return cls(source, jobs, _options(config), config.prepare.beside)

    def key(self, job: Job) -> str:
        """Key of a photo's results."""
        return photo_key(job.path, self.options, self.beside, f"{self.source.resolve()}: {job.folder}")

    def recipe(self, count: int) -> dict[str, Any]:
        """What all of `count` shards must share."""
        return shared_recipe(self.source, self.options, (job.folder for job in self.jobs), count)


def reconstruct_shard(config: schema.Config, source: Path, output: Path, shard: Shard) -> None:
    """Reconstructs one part of the photos; a photo that fails is recorded, and reported by `merge_shards`.

    Args:
      config: the effective configuration.
      source: all photos, as for `reconstruct_folder`.
      output: folder of the results of all shards.
      shard: the part.

    Raises:
      UserError: as `reconstruct_folder`, but all photos of a shard may fail; or there are more shards than photos.
    """
    check_replaceable(output)
    photos = Photos.find(config, source, output)
    if shard.count > len(photos.jobs):
        raise UserError(
            f"--shard must be I/N with N at most the number of photos, {len(photos.jobs)}, got {shard} (choose fewer "
            "parts)"
        )
    part = _Part(config, photos, output, shard)
    try:
        part.do_missing()
    except KeyboardInterrupt as error:
        advice = f"{len(part.known)} of {len(part.jobs)} photos of the shard are done; the same command does the others"
        raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
    part.results.finish(photos.recipe(shard.count), [job.folder for job in part.jobs])
    done = sum(known.faces > 0 for known in part.known.values())
    print(f"shard {shard}: {done} of {counted(len(part.jobs), 'photo')} reconstructed; --merge joins all shards")


def merge_shards(config: schema.Config, source: Path, output: Path, count: int | None = None) -> dict[str, str]:
    """Writes page, tables and sheet of all photos once every shard is done.

    The seconds of the whole folder are the sum of those of the faces, because shards run at different times.

    Args:
      config: the effective configuration.
      source: all photos.
      output: folder of the results of all shards.
      count: see `lib.files.shards.finished`.

    Returns:
      Photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: a shard is missing or was made differently, a photo or its results have changed since, or all photos
        failed.
    """
    photos = Photos.find(config, source, output)
    files = finished(output / FOLDER, SUFFIX, count)
    check_same_recipe({path: read_recipe(path) for path in files}, photos.recipe(len(files)))
    results = ResultFolder(photos.source, output)
    for index, path in enumerate(files):
        shard = Shard(index, len(files))
        records = read_results(path)
        for job in shard.part(photos.jobs):
            record = next(records, None)
            if record is None or record.folder != job.folder or not record.holds(photos.key(job), output):
                raise changed_photo(job.path, shard)
            results.add_photo(job, record.outcome)
    results.finish(sum(metrics["seconds"] for metrics in results.metrics.values()))
    return results.failed


class _Known(NamedTuple):
    """Of a photo that is done: number of its faces, and of those with a row for sheet.png."""

    faces: int
    rows: int


class _Part:
    """The photos of one shard: those that are done, and the work on the others."""

    def __init__(self, config: schema.Config, photos: Photos, output: Path, shard: Shard):
        self.config, self.photos, self.output = config, photos, output
        self.jobs = shard.part(photos.jobs)
        self.results = ShardResults(output, shard)
        self.notes = PhotosInHand(output / FOLDER / f"{shard.name}{IN_HAND}")
        self.known: dict[str, _Known] = {}  # by folder
        self._rows: dict[int, int] = {}  # by the photo's number; without those that have none, so that it stays short
        own = {job.folder: job for job in self.jobs}

        def holds(record: PhotoRecord) -> bool:
            job = own.get(record.folder)
            if job is None or record.outcome.lost or not record.holds(photos.key(job), output):
                return False
            self._know(job, record)
            return True

        self.results.load(photos.options, holds)

    def do_missing(self) -> None:
        """Reconstructs the photos without results."""
        self.notes.keep_only({job.folder for job in self.jobs})
        while jobs := self._missing():  # again if a photo fails now whose row a later one must replace
            keys = {job.folder: self.photos.key(job) for job in jobs}  # of the photos as they are before they are read
            self.results.begin()
            with contextlib.closing(
                reconstruct_photos(self.config, self.output, jobs, self._wants_row, self.notes)
            ) as outcomes:
                for job, outcome in outcomes:
                    if outcome.shared is not None:
                        self.results.share(outcome.shared, self.photos.options)
                    record = PhotoRecord.of(job, keys[job.folder], outcome, self.output)
                    self.results.add(record)
                    self._know(job, record)

    def _know(self, job: Job, record: PhotoRecord) -> None:
        self.known[job.folder] = _Known(len(record.outcome.entries), record.rows)
        if record.rows:
            self._rows[job.number] = record.rows

    def _missing(self) -> list[Job]:
        """The photos without results, or without a row among the first `SHEET_ROWS`, which the sheet may show."""
        jobs, rows = [], 0
        for job in self.jobs:
            known = self.known.get(job.folder)
            if known is None or (rows < SHEET_ROWS and known.rows < known.faces):
                jobs.append(job)
            else:
                rows += known.rows
        return jobs

    def _wants_row(self, job: Job) -> bool:
        return sum(rows for number, rows in self._rows.items() if number < job.number) < SHEET_ROWS


def _options(config: schema.Config) -> str:
    """Hash of everything that determines the results apart from the photos: code, options, weights, face model."""
    sections = {
        name: {key: value for key, value in section.items() if key not in ("input", "output")}
        for name, section in dataclasses.asdict(config).items()
        if name not in _OTHERS
    }
    sections["data"] = {"image_size": config.data.image_size}
    return options_digest([code_version(), sections, config.train.seed], files_in_use(config))


def files_in_use(config: schema.Config) -> list[Path]:
    """The files of networks and face models that determine the results of test mode; missing ones are left out."""
    files = [config.texture_path, *(schema.asset_path(s.weights) for s in (config.regressor, config.identity))]
    files += [schema.asset_path(config.mask.weights), *map(Path, filter(None, [config.prepare.parser]))]
    # The 468 points of the program's own face models. Those of others follow from the model and the code, and are made
    # on first use: their file would tell the first shard from the others.
    files += sorted((schema.REPOSITORY / "data" / "face_mesh").glob("*.npz"))
    # Whoever loads a missing file says what makes it.
    return [path for path in [*files, *_face_model_files(config)] if path.is_file()]


def _face_model_files(config: schema.Config) -> list[Path]:
    """The files of a face model of one's own: what the fit expects of its expressions is not in its fingerprint."""
    if config.face_model.source in ("built-in", "human-head"):
        return []
    # The readers of published files take half a second to import.
    from lib.face_model_files.published import model_files

    return model_files(schema.asset_path(config.face_model.source))
