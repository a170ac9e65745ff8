"""End of a process without Python's release of every object, which takes a second or two after TensorFlow was used."""

import atexit
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
    if _codes:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # Windows has none without a console
                stream.flush()
        os._exit(_codes[-1])
