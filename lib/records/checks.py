"""Checks of a record file's header and names; checksums detect damage, but not files forged on purpose."""

import json
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.files.file_names import name_fault

_MAX_SIDE = 2**20  # of each axis of a record


def checked_header(text: bytes, start: int, path: Path) -> dict[str, Any]:
    """Parses and checks the header of a record file.

    Args:
      text: the JSON text.
      start: offset of the text in the file, bytes.
      path: for error messages.

    Raises:
      UserError: a field is missing or has the wrong type.
    """
    header = _json(text, "header", path)
    numbers = ("count", "offset", "file_size", "index_length", "index_crc32")
    shape = header.get("shape") if isinstance(header, dict) else None
    if (
        not isinstance(shape, list)
        or not shape
        or not all(type(n) is int and 0 < n <= _MAX_SIDE for n in shape)
        or not all(type(header.get(name)) is int and header[name] >= 0 for name in numbers)
        or not isinstance(header.get("metadata"), dict)
        or header.get("dtype") != "uint8"
        or header["offset"] < start + len(text)
    ):
        raise UserError(
            f"{path}: header must give shape, dtype, {', '.join(numbers)} and metadata as written by this program, "
            "got others (a foreign or forged file)"
        )
    return header


def checked_names(text: bytes, count: int, path: Path) -> list[str]:
    """Parses and checks the names of `count` records, given as JSON.

    Raises:
      UserError: the number of names is wrong, a name is repeated, or a name leads outside its folder.
    """
    names = _json(text, "index", path)
    if not isinstance(names, list) or len(names) != count:
        raise UserError(f"{path}: index must name each of the {count} records, got another number of names")
    if fault := next(filter(None, map(name_fault, names)), None):
        raise UserError(f"{path}: {fault} (a forged file)")
    if len(set(names)) != count:
        raise UserError(f"{path}: names must be unique, got one twice")
    return names


def _json(text: bytes, what: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {what} must be JSON, got something else ({error})") from None
