"""Files that are written whole or not at all."""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lib.errors import DiskFull

# No space left, quota exceeded, file too large (a limit of the process or of the file system).
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def space_for(path: str | os.PathLike) -> Iterator[None]:
    """Context manager that reports a full disk while the block writes `path`.

    Raises:
      DiskFull: in place of an OSError for a full disk; other errors pass through.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(
            f"{path}: must fit on its disk, got: {error.strerror}; earlier files are unchanged (free space or choose "
            "another folder, then run the same command again)"
        ) from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path in the same folder; it replaces `path` when the block ends without an exception.

    If the run is killed or the disk fills up, the earlier file stays untouched. The temporary name keeps the suffix,
    because writers choose their format by it.

    Raises:
      DiskFull: see `space_for`.
    """
    path = Path(path)
    with space_for(path), _beside(path) as temporary:
        yield temporary


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes the file private; the result should follow the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's contents."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
