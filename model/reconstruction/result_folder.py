"""Output folder of test mode: one folder per photo, the report page, and tables of metrics and failures."""

import dataclasses
import time
from pathlib import Path

from lib.errors import UserError
from lib.files.file_names import printable
from lib.images.contact_sheet import Tile
from model.photos.errors import failure_reason
from model.reconstruction import files as reconstruction_files
from model.reconstruction.export import FaceTextures
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.photo_result import PhotoResult
from model.report import Report


class ResultFolder:
    """Writes results as they arrive; keeps only numbers and small pictures in memory.

    Args:
      reconstruct: the reconstructor of the photos.
      source: folder or file of the photos.
      output: folder for the results, created if missing.
    """

    def __init__(self, reconstruct: FaceReconstructor, source: Path, output: Path):
        self.started = time.monotonic()
        self.source, self.output = Path(source), Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        # Prepare the chart now, so that a damaged one stops the run before its first photo.
        reconstruct.export.prepare()
        pipeline = reconstruct.pipeline
        self.metrics: dict[str, dict[str, float]] = {}
        self.failed: dict[str, str] = {}
        self._sheet: list[list[Tile]] = []
        self._report = Report(self.output, pipeline.face_model, pipeline.camera, title=str(source))

    def add(self, path: Path, folder: str, result: PhotoResult, seconds: float) -> FaceTextures | None:
        """Writes the result of a photo.

        Args:
          path: the photo.
          folder: folder for its results, relative to the output folder.
          result: the result.
          seconds: time it took, reported among its metrics.

        Returns:
          The textures that were exported, if any.
        """
        result = dataclasses.replace(result, metrics={**result.metrics, "seconds": round(seconds, 2)})
        textures = result.save(self.output / folder)
        self._report.add(result, folder, self._shown(path))
        if len(self._sheet) < reconstruction_files.SHEET_ROWS:
            self._sheet.append(reconstruction_files.sheet_row(result))
        self.metrics[self._shown(path)] = result.metrics
        return textures

    def fail(self, path: Path, error: Exception) -> None:
        """Records why the photo `path` could not be reconstructed."""
        reason = failure_reason(path, error)
        self.failed[self._shown(path)] = reason
        self._report.fail(self._shown(path), reason)

    def finish(self) -> dict[str, str]:
        """Writes and prints the table of metrics, and writes the page.

        Returns:
          The photos that failed: name -> reason.

        Raises:
          UserError: all photos failed.
        """
        seconds = time.monotonic() - self.started
        reconstruction_files.write_summary(self.output, self.metrics, self.failed, seconds, self._sheet)
        print(f"page with all results: {self._report.finish().resolve()}")
        if not self.metrics:
            name, reason = next(iter(self.failed.items()))
            raise UserError(
                f"{self.source}: at least one photo must show a face, got none of {len(self.failed)} reconstructed "
                f"(the first, {name}: {reason}; all are listed in {self.output / 'failed.txt'})"
            )
        return self.failed

    def _shown(self, path: Path) -> str:
        """Path of a photo relative to the source, for display."""
        return printable(path.relative_to(self.source).as_posix())
