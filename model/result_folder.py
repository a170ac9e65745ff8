"""What test mode leaves of photos: a folder for each, the page that shows them, the tables of numbers and failures."""

import time
from pathlib import Path

import cv2
import tensorflow as tf

from configs import schema
from model import reconstruction_files
from model.components import Components
from model.export import Exporter, FaceTextures
from model.report import Report
from utils import UserError

# What one photo can do wrong: its own faults, numbers that do not fit (a face at its very border), libraries' errors.
PHOTO_ERRORS = (UserError, ValueError, ArithmeticError, OSError, cv2.error, tf.errors.OpError)


class ResultFolder:
    """Writes results as they come; keeps numbers and small pictures only.

    Args:
      config: the effective configuration.
      parts: face model and camera of the results.
      source: what the photos were taken from.
      output: is made.
    """

    def __init__(self, config: schema.Config, parts: Components, source: Path, output: Path):
        self.started = time.monotonic()
        self.parts, self.source, self.output = parts, Path(source), Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.export = Exporter.of(config, parts.chain.morphable, parts.camera)
        self.metrics: dict[str, dict[str, float]] = {}
        self.failed: dict[str, str] = {}
        self._sheet = reconstruction_files.Sheet()
        self._report = Report(self.output, parts.face_model, parts.camera, title=str(source))

    def add(self, path: Path, folder: str, result) -> FaceTextures | None:
        """Writes a `PhotoResult` of the photo `path` to the folder of this name below the output folder.

        Returns:
          The textures that were exported, if any.
        """
        target = self.output / folder
        reconstruction_files.write(target, result, self.parts.chain.morphable, self.parts.camera)
        textures = self.export(target, result)
        self._report.add(result, folder, self._shown(path))
        self._sheet.add(result)
        self.metrics[self._shown(path)] = result.metrics
        return textures

    def fail(self, path: Path, error: Exception) -> None:
        """Notes why there is no result of the photo `path`."""
        reason = failure_reason(path, error)
        self.failed[self._shown(path)] = reason
        self._report.fail(self._shown(path), reason)

    def finish(self) -> dict[str, str]:
        """Writes and prints the table, writes the page.

        Returns:
          The photos that failed: name -> reason.

        Raises:
          UserError: none succeeded.
        """
        seconds = time.monotonic() - self.started
        reconstruction_files.write_summary(self.output, self.metrics, self.failed, seconds, self._sheet)
        print(f"the page that shows them: {self._report.finish().resolve()}")
        if not self.metrics:
            name, reason = next(iter(self.failed.items()))
            raise UserError(
                f"{self.source}: at least one photo must show a face, got none of {len(self.failed)} reconstructed "
                f"(the first, {name}: {reason}; all are listed in {self.output / 'failed.txt'})"
            )
        return self.failed

    def _shown(self, path: Path) -> str:
        """The photo's name with the folders it lies in; what is not UTF-8 in it as question marks."""
        return path.relative_to(self.source).as_posix().encode("utf-8", "replace").decode()


def failure_reason(path: Path, error: Exception) -> str:
    """What went wrong with a photo, one line without its name."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return reason.removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
