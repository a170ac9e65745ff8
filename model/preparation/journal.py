"""Journal of --mode prepare: a line for the folder of the photos, then the record of each photo as it is done.

Every line is JSON with a checksum that also covers the folder, so records stay readable if the first line is damaged.
Journals of earlier versions have no checksums.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import name_fault
from lib.files.json_files import CHECKSUM, json_text, with_checksum, without_checksum
from lib.files.numpy_files import report_remade

_AGAIN = "delete it and repeat the command"
_RECORD = {"photo", "key", "crops", "left_out"}
_LISTED = 10  # damaged lines that a message names


def read_journal(path: Path, origin: Mapping[str, str]) -> dict[str, dict]:
    """Reads the last record of each photo; reports damaged lines, whose photos count as not prepared.

    Raises:
      UserError: the journal belongs to another folder of photos, whose crops would be removed, or it was not written by
        this program.
    """
    if not path.is_file():
        return {}
    # Names may hold characters that str.splitlines would split at.
    first, *lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    begun = _first_entry(first, origin)
    source = origin["source"] if begun is None else begun["source"]
    damaged = [] if begun else [1]
    records: dict[str, dict] = {}
    for number, line in enumerate(lines, 2):
        try:
            entry = json.loads(line)
            record = without_checksum(entry, source) if begun is None or CHECKSUM in begun else entry
        except (ValueError, RecursionError):  # also the torn last line of a killed run
            damaged.append(number)
        else:
            records[_photo_of(record, path)] = record
    if begun is None and not records:
        raise _foreign(path)
    if source != origin["source"]:
        raise UserError(
            f"{path.parent}: must be new or hold crops of {origin['source']}, got those of {source} (choose another "
            "--output)"
        )
    if damaged:
        listed = ", ".join(map(str, damaged[:_LISTED])) + (", ..." if len(damaged) > _LISTED else "")
        report_remade(path, f"line {listed}; photos without a whole record are prepared again")
    return records


def write_journal(path: Path, origin: Mapping[str, str], records: Iterable[Mapping[str, Any]]) -> None:
    """Replaces the journal."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(journal_line(entry, origin) for entry in (origin, *records)), encoding="utf-8")


def journal_line(entry: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    """The line of a record, or of the folder itself."""
    return json_text(with_checksum(entry, origin["source"])) + "\n"


def _first_entry(line: bytes, origin: Mapping[str, str]) -> dict[str, Any] | None:
    """The first entry of a journal, of whatever folder; None if it is damaged."""
    try:
        entry = json.loads(line)
        if entry.keys() != origin.keys():  # without a checksum, as earlier versions wrote it
            without_checksum(entry, entry["source"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return entry


def _photo_of(record: Any, path: Path) -> str:
    """The photo of a record; raises UserError unless a run may have written it."""
    try:
        if not record.keys() >= _RECORD:
            raise _foreign(path)
        photo, files = str(record["photo"]), [str(crop["file"]) for crop in record["crops"]]
    except (KeyError, TypeError, AttributeError):
        raise _foreign(path) from None
    if any(name_fault(file) or Path(file).name != file for file in files):
        raise UserError(f"{path}: crops must lie in crops/, got a path ({_AGAIN})")
    return photo


def _foreign(path: Path) -> UserError:
    return UserError(f"{path}: must be this program's journal, got other lines ({_AGAIN})")
