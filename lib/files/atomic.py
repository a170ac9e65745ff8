"""Files that are written whole or not at all."""

import contextlib
import errno
import functools
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.errors import DiskFull, UserError
from lib.files.folders import kind_of, make_folder, writing_to
from lib.files.locks import Outcome, is_in_place, lock

# No space left, quota exceeded, file too large (a limit of the process or of the file system).
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MARK = "-unfinished-"  # in the names of temporary files
_PART_BYTES = 60  # of stem and suffix that are repeated in the temporary name
_RANDOM_BYTES = 4  # that tell temporary names apart
_KNOWN_FOLDERS = 1000  # that are not searched for leftovers again; a server makes new ones for ever


def is_disk_full(error: BaseException) -> bool:
    """True if an exception reports a full disk."""
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in _FULL)


@contextlib.contextmanager
def space_for(path: str | os.PathLike) -> Iterator[None]:
    """Context manager that reports a full disk while the block writes `path`.

    Raises:
      DiskFull: in place of an OSError for a full disk; other errors pass through.
    """
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        fact = f"{path}: must fit on its disk, got: {error.strerror}; no earlier file is damaged"
        raise DiskFull(fact) from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, durable: bool = False, follow: bool = False) -> Iterator[Path]:
    """Yields a temporary path in the same folder; it replaces `path` when the block ends without an exception.

    If the run is killed or the disk fills up, the earlier file stays untouched, and the next run that writes to the
    folder removes the temporary one. Its name keeps the suffix, because writers choose their format by it.

    Args:
      path: the file to create or replace. A link is replaced, not what it leads to, which may belong to another run or
        have been chosen by somebody else.
      durable: wait until contents and name are on the disk, so that the file also survives a power failure.
      follow: replace the file behind a link, and leave the link; for a path that the user has named.

    Raises:
      UserError: `path` is a folder, a device or anything else than a regular file; or its folder is a file.
      UnwritableFolder: its folder may not be written.
      DiskFull: see `space_for`.
    """
    path = Path(path)
    if not path.is_file() and path.exists():
        raise UserError(f"{path}: must be a regular file to be replaced, got {kind_of(path)} (choose another name)")
    place = _behind(path) if follow else path
    with space_for(path), _beside(place, path.name, durable) as temporary:
        yield temporary


def _behind(path: Path) -> Path:
    """The file that a link leads to, also if there is none yet; `path` itself if it is no link, or one of a circle."""
    try:
        return path.resolve() if path.is_symlink() else path
    except (RuntimeError, OSError):
        return path


@contextlib.contextmanager
def _beside(path: Path, name: str, durable: bool) -> Iterator[Path]:
    make_folder(path.parent)
    _remove_leftovers(path.parent.resolve())
    handle, temporary = _locked_temporary(path.parent, name)
    try:
        if sys.platform == "win32":  # which does not rename open files
            os.close(handle)
        yield temporary
        if durable:
            _synchronise(temporary)
        temporary.replace(path)
        if durable and sys.platform != "win32":  # which cannot open folders
            _synchronise(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(handle)


def _locked_temporary(folder: Path, name: str) -> tuple[int, Path]:
    """Creates a temporary file for one of this name and locks it, so that no other process takes it for a leftover."""
    # A name may already be as long as the file system allows.
    stem, suffix = (_beginning(part) for part in (Path(name).stem, Path(name).suffix))
    while True:
        temporary = folder / f".{stem}{_MARK}{secrets.token_hex(_RANDOM_BYTES)}{suffix}"
        try:
            # The rights of any other new file. `tempfile` would make it private, and the umask, which says what these
            # rights are, cannot be read without changing it for all threads.
            with writing_to(folder):
                handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        lock(handle, wait=True)
        if is_in_place(handle, temporary):
            return handle, temporary
        os.close(handle)


def _beginning(part: str) -> str:
    """As many whole characters of a name as `_PART_BYTES` hold: some file systems refuse half a character."""
    while len(os.fsencode(part)) > _PART_BYTES:
        part = part[:-1]
    return part


@functools.lru_cache(_KNOWN_FOLDERS)
def _remove_leftovers(folder: Path) -> None:
    """Deletes temporary files of killed runs in a folder: those that no process has locked.

    On a file system without locks, all stay: another process may be writing them. Once per process, unless it
    writes to more than `_KNOWN_FOLDERS` folders.
    """
    if sys.platform == "win32":
        return
    for leftover in folder.glob(f".*{_MARK}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, a link, a folder, or somebody else's
            handle = os.open(leftover, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if lock(handle, wait=False) is Outcome.LOCKED and leftover.is_file():
                    leftover.unlink()
            finally:
                os.close(handle)


def _synchronise(path: Path) -> None:
    # Windows synchronises only files that are open for writing, other systems do not open folders for it.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's contents."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
