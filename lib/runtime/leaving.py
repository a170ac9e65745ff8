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
        print(f"error: standard output must be writable to the end, got: {error.strerror}", file=sys.stderr)
        code = code or 2
    with contextlib.suppress(OSError, ValueError):  # where nothing can be said, the code remains
        if sys.stderr is not None:
            sys.stderr.flush()
    os._exit(code)
