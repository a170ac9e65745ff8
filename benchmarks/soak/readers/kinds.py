"""A kind of file that the program reads."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MADE, USERS, OPEN = "made by the program", "the user's, with checksums", "the user's, without checksums"


@dataclasses.dataclass(frozen=True)
class Reader:
    """A kind of file, with a function that writes a small whole one and a function that reads it.

    Attributes:
      name: short name.
      files: description for the page.
      origin: MADE files must be refused by name, or made again with a message; USERS files must be refused by name.
        Both detect every change. OPEN formats (text, photos, networks) have nothing to detect a change by: another
        content of the same form is read as such, and anything else must be refused by name.
      make: writes the whole file, or several, into an empty folder.
      read: reads the folder; returns what was read.
      target: pattern of the files to damage.
      named: pattern of what a refusal may name in place of the file.
      fuzzed: show the reader random contents, too; not where it takes long or makes the file again.
    """

    name: str
    files: str
    origin: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    target: str = "*"
    named: str = r"(?!)"
    fuzzed: bool = True


def shipped(source: Path, name: str) -> Callable[[Path], Any]:
    """A function that copies a file of the repository into a folder."""
    return lambda folder: shutil.copy(source, folder / name)
