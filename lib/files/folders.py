"""Folders that a run writes to, and what else may lie in their place."""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.errors import UserError

# No permission, not even for the administrator, a file system that is only read.
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class UnwritableFolder(UserError, PermissionError):
    """Nothing may be written to a folder."""


def visible_files(folder: Path, *suffixes: str) -> list[Path]:
    """The files in a folder with one of these suffixes (lower case), in any case, sorted; without hidden ones.

    Other systems write hidden files beside visible ones under their names and suffixes, such as macOS's `._head.obj`.
    """
    found = (file for file in folder.glob("*") if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return sorted(file for file in found if not file.is_dir())


def make_folder(folder: Path) -> None:
    """Creates a folder, with its parents, if it is missing.

    Raises:
      UserError: the folder, or one of its parents, is a file; or there cannot be a folder of its name.
      UnwritableFolder: it must not be made.
    """
    if "\0" in str(folder):
        raise UserError(f"a folder's name must be without null characters, got {str(folder)!r}")
    try:
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        raise UserError(f"{file}: must be a folder, got a file or a broken link (choose another folder)") from None
    except FileNotFoundError as error:  # although its parents are made: a file system of the kernel, such as /proc
        raise UserError(f"{folder}: must be a folder that can be made, got: {error.strerror}") from error


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Context manager for making a folder, or a file in it.

    Raises:
      UnwritableFolder: in place of an OSError that forbids it; other errors pass through.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        closed = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        raise UnwritableFolder(
            f"{closed.absolute()}: must be a folder that can be written, got: {error.strerror} (change its rights, or "
            "choose another folder with --output or --root_dir)"
        ) from error


@contextlib.contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Context manager for storing what can be made again: where nothing may be written, the run goes on without."""
    try:
        yield
    except UnwritableFolder:
        _report_no_cache(folder)


@functools.cache
def _report_no_cache(folder: Path) -> None:
    """Prints it once: a run stores several files."""
    print(f"{folder}: cannot be written; what would be kept here is made again in each run", file=sys.stderr)


def kind_of(path: Path) -> str:
    """What a path leads to that should lead to a file, for messages."""
    if path.is_dir():
        return "a folder"
    if path.is_fifo():
        return "a pipe"
    if path.exists():
        return "a device or a socket"
    return "a link to nothing" if path.is_symlink() else "no such file"
