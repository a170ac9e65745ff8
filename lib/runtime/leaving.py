"""End of a process without Python's release of every object, which takes a second or two after TensorFlow was used."""

import atexit
import contextlib
import os
import sys
from typing import NoReturn

_codes: list[int] = []


def leave(code: int) -> NoReturn:
    """Ends the program like `sys.exit`, but leaves its memory to the system.

    What is registered with `atexit` and all other threads end first, as always.
    """
    _codes.append(code)
    sys.exit(code)


@atexit.register  # the first to be registered, when this module is imported, is the last to be called
def _end() -> None:
    if not _codes:
        return
    code = _codes[-1]
    try:
        if sys.stdout is not None:  # Windows has none without a console
            sys.stdout.flush()
    except (BrokenPipeError, ValueError):  # its reader, such as head, has seen enough; or it is closed
        pass
    except OSError as error:
        _say(f"error: standard output must be writable to the end, got: {error.strerror}\n")
        code = code or 2
    _say("")
    os._exit(code)


def _say(text: str) -> None:
    """Writes to standard error; where nothing can be said, as in the same file on the full disk, the code remains."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
