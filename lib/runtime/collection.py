"""Garbage collection during the start of a program."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Context manager without garbage collection; what it leaves behind is never examined by later ones, either.

    While large packages are imported, every collection examines all objects so far and frees hardly any; that is a
    tenth of the time. Each of the three generations would examine them once more after the block, which takes as long.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.enable()
