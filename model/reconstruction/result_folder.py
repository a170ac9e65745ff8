"""Output folder of test mode: one folder per photo, the report page, and tables of metrics and failures.

This module does not import TensorFlow; the results may come from other processes (`model.reconstruction.worker`).
"""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lib.errors import DiskFull, UserError
from lib.face_image.earlier_results import is_summary
from lib.files import own_files
from lib.files.file_names import printable
from lib.files.own_files import begins, contains, is_png
from lib.images.contact_sheet import Tile
from lib.messages import print_lines
from lib.runtime.interruption import Interrupted
from model.report.page import Card, Report
from model.report.summary import table, write_summary

# Number of photos on the sheet, the first ones of a folder.
SHEET_ROWS = 24
# Files in the same folder as the photos' folders, which must not have these names.
RUN_FILES = ("index.html", "sheet.png", "summary.csv", "summary.json", "failed.txt")


def _is_list(content: bytes) -> bool:
    return all(b": " in line for line in content.splitlines())


_KINDS: Mapping[str, own_files.IsOwn] = {
    "index.html": contains(b"<title>3D faces from "),
    "summary.csv": begins(b"photo,psnr_coarse,"),
    "summary.json": is_summary,
    "failed.txt": _is_list,
    "sheet.png": is_png,
}

Value = TypeVar("Value")
# Order of a result in tables and page: number of its photo, and of its face.
Place = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class PhotoEntry:
    """What the summaries of a folder show of one result.

    Attributes:
      name: of the photo, and of its face if there are several.
      metrics: name -> number.
      card: for the report page.
      row: its pictures for sheet.png; None if they are not needed.
      remark: what was changed in reading the photo; may be empty.
    """

    name: str
    metrics: dict[str, float]
    card: Card
    row: list[Tile] | None = None
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to reconstruct.

    Attributes:
      number: of the photo in the folder.
      path: the photo.
      shown: its name for display.
      folder: folder for its results, relative to the output folder.
      row: whether its row of sheet.png may be needed.
      sidecars: its sidecar files when the run began.
    """

    number: int
    path: Path
    shown: str
    folder: str
    row: bool
    sidecars: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class PhotoOutcome:
    """Results of a photo's faces.

    Attributes:
      shared: `model.report.card.shared_data`, with the first photo of a process.
      entries: one for each face that was reconstructed, with its number (None if there is only one).
      failed: number of the face, or None for the photo as a whole, and the reason.
      lost: something failed for a reason that may lie outside of the photo, such as a killed process.
    """

    shared: dict[str, Any] | None
    entries: list[tuple[int | None, PhotoEntry]] = dataclasses.field(default_factory=list)
    failed: list[tuple[int | None, str]] = dataclasses.field(default_factory=list)
    lost: bool = False


class ResultFolder:
    """Collects results as they arrive, in any order; keeps only numbers and small pictures in memory.

    Args:
      source: folder or file of the photos.
      output: folder for the results, created if missing.
      shared: `model.report.card.shared_data`; None if it arrives later, but before the first result.

    Raises:
      UserError: the folder holds a file of the same name that is not of an earlier run.
    """

    def __init__(self, source: Path, output: Path, shared: dict[str, Any] | None = None):
        self.started = time.monotonic()
        self.source, self.output, self.shared = Path(source), Path(output), shared
        check_replaceable(self.output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.metrics: dict[str, dict[str, float]] = {}
        self.failed: dict[str, str] = {}
        self.remarks: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._rows: dict[Place, list[Tile]] = {}
        self._report = Report(self.output, title=str(source))

    @property
    def wants_rows(self) -> bool:
        """False once the first `SHEET_ROWS` photos are on the sheet, so that later ones cannot be."""
        return len(self._rows) < SHEET_ROWS

    def add(self, entry: PhotoEntry, place: Place | None = None) -> None:
        """Adds a result whose files are written, by default after all others."""
        self._places[entry.name] = place = self._place(place)
        self._report.add(entry.card)
        if entry.row is not None:
            self._rows[place] = entry.row
            if len(self._rows) > SHEET_ROWS:
                del self._rows[max(self._rows)]
        self.metrics[entry.name] = entry.metrics
        if entry.remark:
            self.remarks[entry.name] = entry.remark

    def add_photo(self, job: Job, outcome: PhotoOutcome) -> None:
        """Adds the results of a photo's faces."""
        self.shared = self.shared or outcome.shared
        for face, entry in outcome.entries:
            self.add(entry, (job.number, face or 0))
        for face, reason in outcome.failed:
            self.fail(face_name(job.shown, face), reason, (job.number, face or 0))

    def fail(self, name: str, reason: str, place: Place | None = None) -> None:
        """Records why a photo, or one of its faces, could not be reconstructed."""
        self._places[name] = self._place(place)
        self.failed[name] = reason
        self._report.fail(name, reason)

    def _place(self, place: Place | None) -> Place:
        return (len(self._places), 0) if place is None else place

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
            done = len({photo for photo, _ in self._places.values()})
            if done:
                self._write()
            advice = (
                f"the results of {done} of {count} photos are in {self.output}; the same command starts again with the "
                "first photo"
            )
            raise Interrupted(advice, getattr(error, "number", signal.SIGINT)) from error
        except Exception:
            # The fault is not a photo's, for example a full disk; it is reported even if the page cannot be written.
            if self.metrics or self.failed:
                with contextlib.suppress(DiskFull, OSError, UserError):
                    self._write()
            raise
        self.finish()

    def finish(self, seconds: float | None = None) -> None:
        """Writes page and tables of all photos; `seconds` is the time that they took, by default since the start.

        Raises:
          UserError: all photos failed.
        """
        self._write(seconds)
        self._check_any()

    def _write(self, seconds: float | None = None) -> None:
        """Writes the table of metrics and the page, and prints the table."""
        names = sorted(self._places, key=self._places.__getitem__)
        self.metrics, self.failed = _in_order(self.metrics, names), _in_order(self.failed, names)
        self.remarks = _in_order(self.remarks, names)
        rows = [self._rows[place] for place in sorted(self._rows)]
        seconds = time.monotonic() - self.started if seconds is None else seconds
        write_summary(self.output, self.metrics, self.failed, seconds, rows)
        if self.shared is not None:
            page = f"page with all results: {self._report.finish(self.shared, names).resolve()}"
        else:  # every process was killed before its first result; the page is an earlier run's
            (self.output / "index.html").unlink(missing_ok=True)
            page = ""
        remarks = [f"{name}: {remark}" for name, remark in self.remarks.items()]
        lines = [*table(self.output, self.metrics, self.failed), *remarks, *filter(None, [page])]
        print_lines(lines, f"all results are in {self.output}")

    def _check_any(self) -> None:
        if not self.metrics:
            name, reason = next(iter(self.failed.items()))
            raise UserError(
                f"{self.source}: at least one photo must show a face, got none of {len(self.failed)} reconstructed "
                f"(the first, {name}: {reason}; all are listed in {self.output / 'failed.txt'})"
            )


def _in_order(table: dict[str, Value], names: list[str]) -> dict[str, Value]:
    return {name: table[name] for name in names if name in table}


def shown_name(path: Path, source: Path) -> str:
    """Path of a photo relative to the source, for display."""
    return printable(path.relative_to(source).as_posix())


def face_name(shown: str, face: int | None) -> str:
    """Name of a result for display: its photo's, and the number of its face if there is one."""
    return shown if face is None else f"{shown}, face {face}"


def face_folder(folder: str, face: int | None) -> str:
    """Folder of a face's results in that of its photo; the photo's own if it has no number."""
    return folder if face is None else f"{folder}/face_{face}"


def check_replaceable(output: Path) -> None:
    """Raises UserError if a run over photos would replace a file that is not of an earlier run."""
    own_files.check_replaceable(output, _KINDS)
