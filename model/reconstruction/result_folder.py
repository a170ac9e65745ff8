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
        self.remarks: dict[str, str] = {}
        self._sheet: list[list[Tile]] = []
        self._report = Report(self.output, pipeline.face_model, pipeline.camera, title=str(source))

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

    def finish(self) -> dict[str, str]:
        """Writes and prints the table of metrics, and writes the page.

        Returns:
          The photos that failed: name -> reason.

        Raises:
          UserError: all photos failed.
        """
        seconds = time.monotonic() - self.started
        reconstruction_files.write_summary(self.output, self.metrics, self.failed, seconds, self._sheet)
        for name, remark in self.remarks.items():
            print(f"{name}: {remark}")
        print(f"page with all results: {self._report.finish().resolve()}")
        if not self.metrics:
            name, reason = next(iter(self.failed.items()))
            raise UserError(
                f"{self.source}: at least one photo must show a face, got none of {len(self.failed)} reconstructed "
                f"(the first, {name}: {reason}; all are listed in {self.output / 'failed.txt'})"
            )
        return self.failed

    def _shown(self, path: Path, face: int | None = None) -> str:
        """Path of a photo relative to the source, and the face's number if it has one, for display."""
        name = printable(path.relative_to(self.source).as_posix())
        return name if face is None else f"{name}, face {face}"
