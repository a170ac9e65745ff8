"""The barrier around the work on one photo: any fault in it is reported, and the other photos continue."""

import contextlib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from lib.errors import DiskFull, UserError, one_line
from lib.files.atomic import is_disk_full
from lib.files.file_names import printable

# This program's own messages, impossible numbers (such as a face at the very border), and errors of the file system.
_EXPLAINED = (UserError, DiskFull, ValueError, ArithmeticError, OSError)


@contextlib.contextmanager
def photo_barrier(fail: Callable[[Exception], None]) -> Iterator[None]:
    """Context manager for the work on one photo; an exception in it is passed to `fail` and goes no further.

    Only what would stop every photo is raised again: an interruption and a full disk. Set-up that serves all photos
    must stay outside the block, so that its faults end the run.

    Args:
      fail: records the failure of the photo.
    """
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            raise
        fail(error)


def failure_reason(path: Path, error: BaseException) -> str:
    """Reason why a photo failed, in one line and without the photo's name.

    Exceptions of unexpected types, which may be a fault of this program, are named with the place they came from.
    """
    reason = one_line(error)
    reason = printable(reason.removeprefix(f"{path}: ").removeprefix(f"{path.name}: "))
    if isinstance(error, _EXPLAINED):
        return reason
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{reason} ({type(error).__name__}{place})"
