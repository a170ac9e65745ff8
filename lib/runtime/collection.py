"""Garbage collection during the start of a program."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection(freeze: bool = True) -> Iterator[None]:
    """Context manager without garbage collection.

    While large packages are imported, every collection examines all objects so far and frees hardly any; that is a
    tenth of the time.

    Args:
      freeze: no later collection examines what there is after the block, either. Each of the three generations would do
        so once more, which takes as long. Only for programs: it also keeps the garbage of somebody else's for ever.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if freeze:
                gc.freeze()
            gc.enable()
