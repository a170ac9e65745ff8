"""Numba's compilation of functions, kept on disk where that is possible."""

from collections.abc import Callable
from typing import Any, TypeVar

from lib.runtime.hidden_imports import hidden

# Numba imports it, if it is installed, to report compiled lines.
with hidden("coverage"):
    import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Decorator like `numba.njit`, whose machine code is kept for the next start if there is a folder for it.

    Numba keeps it in `__pycache__` next to the source, or below the user's home. Where neither can be written to, as
    in a container of which only the data are writable, Numba refuses to decorate; each start then compiles again.

    Args:
      options: those of `numba.njit`.
    """

    def decorate(function: Function) -> Function:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(**options)(function)

    return decorate


def kernel_threads() -> int:
    """Threads that a caller may divide a kernel's work among: NUMBA_NUM_THREADS, or one for each processor."""
    return numba.config.NUMBA_NUM_THREADS
