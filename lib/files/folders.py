"""Folders that a run writes to."""

import os
from pathlib import Path

from lib.errors import UserError


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
