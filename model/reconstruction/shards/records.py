"""What page and tables show of a photo, as JSON values: for the file of a shard's results."""

import base64
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib.files.atomic import file_sha256
from lib.images.contact_sheet import Tile
from lib.images.png import png_bytes
from model.reconstruction.result_folder import Job, PhotoEntry, PhotoOutcome, face_folder
from model.report.page import Card

# Written last into the folder of a result; the seconds in it tell runs apart.
_LAST = "metrics.json"


@dataclasses.dataclass(frozen=True)
class PhotoRecord:
    """The results of a photo, without what all photos share.

    Attributes:
      folder: of its results, relative to the output folder.
      key: of photo and options, `lib.sidecar.photo_key`.
      files: folder of a face's results, relative to the output folder -> hash of the last file in it.
      outcome: the results.
    """

    folder: str
    key: str
    files: Mapping[str, str]
    outcome: PhotoOutcome

    @classmethod
    def of(cls, job: Job, key: str, outcome: PhotoOutcome, output: Path) -> "PhotoRecord":
        """The record of a photo whose files have just been written to `output`."""
        folders = [face_folder(job.folder, face) for face, _ in outcome.entries]
        files = {folder: file_sha256(output / folder / _LAST) for folder in folders}
        return cls(job.folder, key, files, dataclasses.replace(outcome, shared=None))

    @property
    def rows(self) -> int:
        """Number of its rows for sheet.png."""
        return sum(entry.row is not None for _, entry in self.outcome.entries)

    def holds(self, key: str, output: Path) -> bool:
        """True if photo and options have the same key, and no other run has replaced or removed the results."""
        paths = {output / folder / _LAST: digest for folder, digest in self.files.items()}
        return key == self.key and all(path.is_file() and file_sha256(path) == paths[path] for path in paths)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {
            "folder": self.folder,
            "key": self.key,
            "files": self.files,
            "entries": [{"face": face, **_entry_to_json(entry)} for face, entry in self.outcome.entries],
            "failed": self.outcome.failed,
            "lost": self.outcome.lost,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "PhotoRecord":
        """The record that `to_json` was called on; raises ValueError if it is none."""
        try:
            entries = [(entry["face"], _entry_from_json(entry)) for entry in content["entries"]]
            failed = [(face, reason) for face, reason in content["failed"]]
            outcome = PhotoOutcome(None, entries, failed, content["lost"])
            return cls(content["folder"], content["key"], content["files"], outcome)
        except (KeyError, TypeError, AttributeError, OSError) as error:  # OSError: no picture
            raise ValueError("no record of a photo") from error


def _entry_to_json(entry: PhotoEntry) -> dict[str, Any]:
    row = None
    if entry.row is not None:
        strip = png_bytes(np.concatenate([picture for _, picture in entry.row], axis=1))
        row = {"captions": [caption for caption, _ in entry.row], "png": base64.b64encode(strip).decode()}
    return {
        "name": entry.name,
        "metrics": {name: repr(value) for name, value in entry.metrics.items()},  # JSON has no infinity
        "card": entry.card.html,
        "row": row,
        "remark": entry.remark,
    }


def _entry_from_json(content: Mapping[str, Any]) -> PhotoEntry:
    metrics = {name: float(value) for name, value in content["metrics"].items()}
    card = Card(content["name"], content["card"], metrics)
    row = None if content["row"] is None else _row(content["row"]["captions"], content["row"]["png"])
    return PhotoEntry(content["name"], metrics, card, row, content["remark"])


def _row(captions: list[str], strip: str) -> list[Tile]:
    """Pictures that lie side by side in one."""
    with Image.open(io.BytesIO(base64.b64decode(strip)), formats=("PNG",)) as image:
        pictures = np.split(np.asarray(image), len(captions), axis=1)
    return list(zip(captions, pictures, strict=True))
