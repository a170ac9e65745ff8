"""Output folder of test mode: one folder per photo, the report page, and tables of metrics and failures."""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from lib.errors import DiskFull, UserError
from lib.files.file_names import printable
from lib.images.contact_sheet import Tile
from lib.runtime.interruption import Interrupted
from model.photos.errors import failure_reason
from model.reconstruction import files as reconstruction_files
from model.reconstruction.export import FaceTextures
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.photo_result import PhotoResult
from model.reconstruction.replaceable import check_replaceable
from model.report import Report


class ResultFolder:
    """Writes results as they arrive; keeps only numbers and small pictures in memory.

    Args:
      reconstruct: the reconstructor of the photos.
      source: folder or file of the photos.
      output: folder for the results, created if missing.

    Raises:
      UserError: the folder holds a file of the same name that is not of an earlier run.
    """

    def __init__(self, reconstruct: FaceReconstructor, source: Path, output: Path):
        self.started = time.monotonic()
        self.source, self.output = Path(source), Path(output)
        check_replaceable(self.output)
        self.output.mkdir(parents=True, exist_ok=True)
        # Prepare the chart now, so that a damaged one stops the run before its first photo.
        reconstruct.export.prepare()
        pipeline = reconstruct.pipeline
        self.metrics: dict[str, dict[str, float]] = {}
        self.failed: dict[str, str] = {}
        self.remarks: dict[str, str] = {}
        self._sheet: list[list[Tile]] = []
        self._report = Report(
            self.output, pipeline.face_model, reconstruct.export.chart, pipeline.camera, title=str(source)
        )

    def add(
        self, path: Path, folder: str, result: PhotoResult, seconds: float, face: int | None = None
    ) -> FaceTextures | None:
        """Writes the result of a photo.

        Args:
          path: the photo.
          folder: folder for its results, relative to the output folder.
          result: the result.
          seconds: time it took, reported among its metrics.
          face: number of the face if the photo has several results.

        Returns:
          The textures that were exported, if any.
        """
        result = dataclasses.replace(result, metrics={**result.metrics, "seconds": round(seconds, 2)})
        textures = result.save(self.output / folder)
        shown = self._shown(path, face)
        self._report.add(result, folder, shown)
        if len(self._sheet) < reconstruction_files.SHEET_ROWS:
            self._sheet.append(reconstruction_files.sheet_row(result))
        self.metrics[shown] = result.metrics
        if result.photo.remark:
            self.remarks[shown] = result.photo.remark
        return textures

    def fail(self, path: Path, error: Exception, face: int | None = None) -> None:
        """Records why the photo `path`, or one of its faces, could not be reconstructed."""
        reason, shown = failure_reason(path, error), self._shown(path, face)
        self.failed[shown] = reason
        self._report.fail(shown, reason)

    @contextlib.contextmanager
    def reported_at_the_end(self, count: int) -> Iterator[None]:
        """Context manager for the work on all photos; however it ends, page and tables show the finished photos.

        Args:
          count: number of photos.

        Raises:
          UserError: all photos failed.
          Interrupted: the process was told to stop.
        """
        try:
            yield
        except KeyboardInterrupt as error:
            done = len(self.metrics) + len(self.failed)
            if done:
                self._write()
            advice = (
                f"the results of {done} of {count} photos are in {self.output}; the same command starts again with the "
                "first photo"
            )
            raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
        except Exception:
            # The fault is not a photo's, for example a full disk; it is reported even if the page cannot be written.
            with contextlib.suppress(DiskFull, OSError):
                self._write()
            raise
        self._write()
        self._check_any()

    def _write(self) -> None:
        """Writes and prints the table of metrics, and writes the page."""
        seconds = time.monotonic() - self.started
        reconstruction_files.write_summary(self.output, self.metrics, self.failed, seconds, self._sheet)
        for name, remark in self.remarks.items():
            print(f"{name}: {remark}")
        print(f"page with all results: {self._report.finish().resolve()}")

    def _check_any(self) -> None:
        if not self.metrics:
            name, reason = next(iter(self.failed.items()))
            raise UserError(
                f"{self.source}: at least one photo must show a face, got none of {len(self.failed)} reconstructed "
                f"(the first, {name}: {reason}; all are listed in {self.output / 'failed.txt'})"
            )

    def _shown(self, path: Path, face: int | None = None) -> str:
        """Path of a photo relative to the source, and the face's number if it has one, for display."""
        name = printable(path.relative_to(self.source).as_posix())
        return name if face is None else f"{name}, face {face}"
