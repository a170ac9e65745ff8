"""Worker of --mode test: reconstructs one photo after the other, and writes the folder of each."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from configs import schema
from lib.face_image.quality import Unusable
from lib.images.contact_sheet import Tile
from model.photos.errors import failure_reason, photo_barrier
from model.photos.reader import FoundFaces
from model.reconstruction.baking import FaceTextures
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import check_result_folder, remove_other_faces, remove_results
from model.reconstruction.photo_result import PhotoResult
from model.reconstruction.result_folder import Job, PhotoEntry, PhotoOutcome, face_folder, face_name
from model.report.card import render_card, shared_data
from model.report.pictures import pictures


class Worker:
    """Reconstructs photos with the run's best texture network.

    Args:
      config: the effective configuration.
      output: folder for the results of all photos.

    Raises:
      UserError: there is no trained network, or a file cannot be used.
    """

    def __init__(self, config: schema.Config, output: Path):
        self.every, self.output = config.prepare.faces == "all", output
        self.reconstruct = FaceReconstructor.load(config)
        self._shared: Future[dict[str, Any]] | None  # until it is sent
        self._shared = self.reconstruct.ahead.start(lambda: report_data(self.reconstruct))

    def __call__(self, job: Job) -> PhotoOutcome:
        """Reconstructs a photo: no fault of the photo is raised."""
        entries: list[tuple[int | None, PhotoEntry]] = []
        failed: list[tuple[int | None, str]] = []
        lost = False

        def fail(error: Exception, face: int | None = None) -> None:
            nonlocal lost
            lost |= not isinstance(error, Unusable)
            remove_results(self.output / face_folder(job.folder, face))
            failed.append((face, failure_reason(job.path, error)))

        started = time.monotonic()
        found: FoundFaces | None = None
        with photo_barrier(fail):
            reading = self.reconstruct.reader.find(job.path, None if self.every else 1, job.sidecars)
            if not self.every:  # before the work; of several faces, before the files of each
                check_result_folder(self.output / job.folder)
            found = reading
        for number, face in enumerate(found.faces if found is not None else ()):
            shown = number if self.every else None  # the largest face first
            with photo_barrier(functools.partial(fail, face=shown)):
                result = self.reconstruct.reconstruct_face(job.path.name, found, face)
                name = face_name(job.shown, shown)
                entry, _ = save(
                    result, self.output, face_folder(job.folder, shown), name, time.monotonic() - started, job.row
                )
                entries.append((shown, entry))
            started = time.monotonic()
        if found is not None:  # after the new files are written: if they do not fit on the disk, the earlier ones stay
            with contextlib.suppress(OSError):
                remove_other_faces(self.output / job.folder, len(found.faces) if self.every else None)
        # A fault of the chart, which all photos share, is raised here.
        shared, self._shared = None if self._shared is None else self._shared.result(), None
        return PhotoOutcome(shared, entries, failed, lost)


def report_data(reconstruct: FaceReconstructor) -> dict[str, Any]:
    """Prepares the chart, so that a damaged one stops the run; returns `shared_data`."""
    reconstruct.export.prepare()
    return shared_data(reconstruct.export.morphable.face_model, reconstruct.export.chart, reconstruct.pipeline.camera)


def save(
    result: PhotoResult, output: Path, folder: str, name: str, seconds: float, row: bool
) -> tuple[PhotoEntry, FaceTextures | None]:
    """Writes the files of a result.

    Args:
      result: the result.
      output: folder for the results of all photos.
      folder: folder for this one, relative to `output`.
      name: shown on the page and in tables.
      seconds: time it took, reported among its metrics.
      row: render its row of sheet.png.

    Returns:
      Its entry in the summaries, and the textures that were exported, if any.
    """
    result = dataclasses.replace(result, metrics={**result.metrics, "seconds": round(seconds, 2)})
    result.textures, result.views  # noqa: B018 - for both threads, which mostly encode pictures
    with ThreadPoolExecutor(1) as thread:
        card = thread.submit(render_card, result, folder, name, _scenes(result.export.formats))
        textures = result.save(output / folder)
        tiles = sheet_row(result) if row else None
        return PhotoEntry(name, result.metrics, card.result(), tiles, result.photo.remark), textures


def sheet_row(result: PhotoResult) -> list[Tile]:
    """Pictures of a result, captioned with titles and numbers: one row of sheet.png."""
    metrics, tiles = result.metrics, pictures(result)
    captions = {title: title for title in tiles} | {
        "photo": result.photo.name,
        "coarse": f"coarse  {metrics['psnr_coarse']:.1f} dB",
        "fine": f"fine  {metrics['psnr_fine']:.1f} dB",
        "landmarks": f"landmarks, points {metrics['five_point_residual_px']:.2f} px",
    }
    return [(captions[title], picture) for title, picture in tiles.items()]


def _scenes(formats: Sequence[str]) -> list[str]:
    """Files that phones show when their link is tapped."""
    return [f"{name}.usdz" for name in ("mesh", "rig") if "usdz" in formats and name in ("mesh", *formats)]
