"""Garbage collection during the start of a program."""

import contextlib
import gc
from collections.abc import Iterator

# Up to this many objects of the caller's are kept for ever: those of a script, but not those of a notebook.
FEW = 100_000


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Context manager without garbage collection; what it leaves behind is not examined by later ones, either.

    While large packages are imported, every collection examines all objects so far and frees hardly any; that is a
    tenth of the time. Each of the three generations would examine them once more after the block, which takes as long.
    This holds for whatever there is before the block as well, so its garbage would stay: if that may be much, later
    collections go on as usual.
    """
    enabled, few = gc.isenabled(), len(gc.get_objects()) <= FEW
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if few:
                gc.freeze()
            gc.enable()
