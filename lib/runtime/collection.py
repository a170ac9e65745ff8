"""Garbage collection during the start of a program."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Context manager without garbage collection.

    While large packages are imported, every collection examines all objects so far and frees hardly any; that is a
    tenth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
