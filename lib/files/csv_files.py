"""Tables as .csv that a spreadsheet shows and never runs."""

import csv
import os
from collections.abc import Iterable, Sequence

from lib.files.atomic import atomic_path

# A spreadsheet takes a cell that begins with one of these for a formula; tab and carriage return are skipped by some.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: str | os.PathLike, rows: Iterable[Sequence[object]], line_end: str = "\r\n") -> None:
    """Writes or replaces a table, UTF-8; texts that look like formulas are quoted by `cell`.

    Bytes of a file name that are not UTF-8, which Python stores as lone surrogates, are escaped.

    Raises:
      DiskFull: the earlier file, if any, is unchanged.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        csv.writer(stream, lineterminator=line_end).writerows([cell(value) for value in row] for row in rows)


def cell(value: object) -> object:
    """A value for a cell: a text that a spreadsheet would take for a formula gets an apostrophe in front.

    Numbers stay numbers, also where they are texts such as -1.5 or +3e4. File names may begin with any of these
    characters, and they come from other people's folders.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
