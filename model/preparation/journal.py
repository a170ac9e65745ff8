"""Journal of --mode prepare: a line for the folder of the photos, then the record of each photo as it is done."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import name_fault
from lib.files.json_files import json_text

_AGAIN = "delete it and repeat the command"


def read_journal(path: Path, origin: Mapping[str, str]) -> dict[str, dict]:
    """Reads the last record of each photo; ignores the incomplete last line of an interrupted run.

    Raises:
      UserError: the journal belongs to another folder of photos, whose crops would be removed, or it was not written by
        this program.
    """
    if not path.is_file():
        return {}
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entries.append(json.loads(line))
    try:
        (first, *rest) = entries
        found, records = first["source"], {record["photo"]: record for record in rest}
        files = [crop["file"] for record in rest for crop in record["crops"]]
        complete = all({"key", "left_out"} <= record.keys() for record in rest)
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: must be this program's journal, got other lines ({_AGAIN})")
    if any(name_fault(file) or Path(file).name != file for file in files):
        raise UserError(f"{path}: crops must lie in crops/, got a path ({_AGAIN})")
    if found != origin["source"]:
        raise UserError(
            f"{path.parent}: must be new or hold crops of {origin['source']}, got those of {found} (choose another "
            "--output)"
        )
    return records


def write_journal(path: Path, origin: Mapping[str, str], records: Mapping[str, dict]) -> None:
    """Replaces the journal."""
    lines = [json_text(entry) + "\n" for entry in (origin, *records.values())]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
