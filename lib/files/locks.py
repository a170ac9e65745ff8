"""Advisory locks that end with their process: on temporary files, and on folders that only one run may write to.

The kernel releases such a lock when its holder dies, whatever the cause, so no lock outlives a killed run. On Linux,
they also work on NFS.
"""

import contextlib
import enum
import errno
import functools
import hashlib
import json
import os
import platform
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from lib.errors import InUse, UserError
from lib.files.folders import make_folder, writing_to

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_FILE = ".lock"
# Some network file systems have no locks at all.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

# Windows keeps other processes from reading what is locked, so this byte is far behind the contents.
_LOCKED_BYTE = 1 << 30
_PAUSE = 0.05  # seconds between two attempts to lock it
_START = b'{"pid": '  # of the contents of a lock file
_MOST = 4096  # bytes of the contents


class Outcome(enum.Enum):
    """Of an attempt to lock a file; true unless another process holds it."""

    LOCKED = "locked for this process"
    HELD = "held by another process"
    UNSUPPORTED = "the file system has no locks; whether another process uses the file is unknown"

    def __bool__(self) -> bool:
        return self is not Outcome.HELD


def lock(descriptor: int, wait: bool, shared: bool = False) -> Outcome:
    """Locks an open file.

    Args:
      descriptor: of the file; the lock ends when it is closed.
      wait: wait for another holder; otherwise return `Outcome.HELD` if there is one.
      shared: keep out only those whose lock is not shared (on Windows: everybody).
    """
    if sys.platform == "win32":
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            while True:
                try:
                    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                    return Outcome.LOCKED
                except PermissionError:
                    if not wait:
                        return Outcome.HELD
                    time.sleep(_PAUSE)
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return Outcome.HELD
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _report_no_locks(error.strerror)
        return Outcome.UNSUPPORTED
    return Outcome.LOCKED


@functools.cache
def _report_no_locks(reason: str) -> None:
    """Prints it once: every file that is written takes a lock."""
    print(f"this file system has no locks ({reason}): run one command at a time here", file=sys.stderr)


def is_in_place(descriptor: int, path: Path) -> bool:
    """True if `path` still names the open file: another process may have deleted it before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def sole_user(folder: Path, purpose: str, lock_file: str = LOCK_FILE, wait: bool = False) -> Iterator[None]:
    """Context manager that keeps all other runs out of a folder; the lock of a dead run is taken over.

    Args:
      folder: created if missing, with its parents; removed again if nothing was written to it.
      purpose: what the folder is used for, to be shown to the other run, e.g. "training".
      lock_file: name of the file that is locked in the folder.
      wait: wait for another run, which a line of output names.

    Raises:
      InUse: another run uses the folder; the message names its process and computer. Not with `wait`.
      UserError: the folder, or one of its parents, is a file, or may not be written; or another program's file, or a
        link, has the name of the lock file.
    """
    folder = Path(folder)
    created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    path = folder / lock_file
    while True:
        make_folder(folder)
        with contextlib.ExitStack() as opened:
            try:
                with writing_to(folder):
                    descriptor = _open(path)
            except FileNotFoundError:
                continue  # its last user has just removed the empty folder
            except PermissionError:
                if not _delete_other_users(path, folder, wait):
                    raise
                continue
            opened.callback(os.close, descriptor)
            _lock_or_refuse(descriptor, path, folder, wait)
            if not is_in_place(descriptor, path):
                continue  # its last holder deleted it in between
            _check_own(descriptor, path)
            try:
                _write_holder(descriptor, purpose)
                yield
            finally:
                if sys.platform == "win32":  # which does not delete open files
                    opened.close()
                    with contextlib.suppress(PermissionError):  # another run has just opened it
                        path.unlink(missing_ok=True)
                else:
                    path.unlink(missing_ok=True)  # before the lock ends, so that no process locks a deleted file
                with contextlib.suppress(OSError):  # it is no longer empty
                    for empty in created:
                        empty.rmdir()
            return


def _lock_or_refuse(descriptor: int, path: Path, folder: Path, wait: bool, shared: bool = False) -> None:
    """Locks the open lock file `path`; if another process holds it, waits for that or raises `InUse`."""
    if not lock(descriptor, wait=False, shared=shared):
        if not wait:
            raise _in_use(folder, path)
        print(f"{folder}: waiting for {_holder(path)}", file=sys.stderr)
        lock(descriptor, wait=True, shared=shared)


def _open(path: Path) -> int:
    """Opens or creates a lock file, but not what a link in its place leads to: that may be anybody's."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError:
        if path.is_symlink():
            raise UserError(f"{path}: must be a file, got a link (delete it or choose another folder)") from None
        raise


def _write_holder(descriptor: int, purpose: str) -> None:
    """Writes who holds a lock; a full disk is left to the run's first result, whose message names the file."""
    with contextlib.suppress(OSError):  # the lock itself needs no contents
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node(), "for": purpose}).encode())


def _delete_other_users(path: Path, folder: Path, wait: bool) -> bool:
    """Deletes the lock file of a dead run of another user, which this one may not write.

    Returns:
      False if the file cannot be read, or nothing may be written to the folder.

    Raises:
      UserError: the other user's run still holds the lock, and `wait` is false; or its file may not be deleted, as in a
        folder for all.
    """
    with contextlib.ExitStack() as opened:
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return False
        opened.callback(os.close, descriptor)
        _lock_or_refuse(descriptor, path, folder, wait, shared=True)
        if is_in_place(descriptor, path):
            _check_own(descriptor, path)
            try:
                path.unlink()
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EROFS):  # EPERM is that of a folder with the sticky bit
                    return False
                raise UserError(
                    f"{path}: must be deleted, got: {error.strerror} (another user's dead run has left it; delete it, "
                    "or choose another folder)"
                ) from None
    return True


def _check_own(descriptor: int, path: Path) -> None:
    """Raises UserError if an open file is not a lock file of this program, which may replace and delete it."""
    state = os.fstat(descriptor)
    start = os.read(descriptor, len(_START)) if stat.S_ISREG(state.st_mode) else b"?"
    # A power failure may leave the beginning of the contents, or zeros in their place.
    if state.st_size > _MOST or (start.strip(b"\0") and not _START.startswith(start)):
        raise UserError(
            f"{path}: must be a lock file of this program, got another file (move it away or choose another folder)"
        )


def sole_writer(path: Path, purpose: str, wait: bool = False) -> contextlib.AbstractContextManager[None]:
    """`sole_user` of a single file in a folder that others may use; `path` need not exist."""
    # A hash, because the name may already be as long as the file system allows.
    name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}{LOCK_FILE}"
    return sole_user(path.parent, purpose, name, wait)


def check_unlocked(lock_files: Iterable[Path], folder: Path) -> None:
    """Keeps a run out of a folder in which others hold locks of their own, e.g. on their parts of the results.

    Two runs exclude each other, whichever starts first, if each takes its own lock before it checks the other's.

    Args:
      lock_files: lock files of the other runs; they may be missing.
      folder: named in the message.

    Raises:
      InUse: another run holds one of the locks.
    """
    for path in lock_files:
        with contextlib.ExitStack() as opened:
            try:
                # Only to read, which is enough for a shared lock: it may be another user's.
                descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            except FileNotFoundError:  # its holder has ended
                continue
            opened.callback(os.close, descriptor)
            if not lock(descriptor, wait=False, shared=True):  # so that two that check at a time do not meet
                raise _in_use(folder, path)


def _in_use(folder: Path, lock_file: Path) -> InUse:
    return InUse(
        f"{folder}: must be used by one run at a time, got {_holder(lock_file)} (wait for it, stop it, or choose "
        "another name or folder)"
    )


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return f"{found['for']} by process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another run that has just started"
