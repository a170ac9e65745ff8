"""Folders that a run writes to."""

import os
from pathlib import Path

from lib.errors import UserError


def visible_files(folder: Path, *suffixes: str) -> list[Path]:
    """The files in a folder with one of these suffixes (lower case), in any case, sorted; without hidden ones.

    Other systems write hidden files beside visible ones under their names and suffixes, such as macOS's `._head.obj`.
    """
    found = (file for file in folder.glob("*") if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return sorted(file for file in found if not file.is_dir())


def make_folder(folder: Path) -> None:
    """Creates a folder, with its parents, if it is missing.

    Raises:
      UserError: the folder, or one of its parents, is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        raise UserError(f"{file}: must be a folder, got a file or a broken link (choose another folder)") from None
