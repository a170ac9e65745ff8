"""Numba's compilation of functions, kept on disk where that is possible."""

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from lib.errors import one_line
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
            dispatcher = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(**options)(function)
        dispatcher._cache = _OptionalCache(dispatcher._cache)
        return dispatcher

    return decorate


class _OptionalCache:
    """Numba's cache of a function, without which the program goes on: its disk may be full, a file of it damaged."""

    def __init__(self, cache: Any):
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *signature: Any) -> Any:
        """The machine code, or None if it must be compiled; a damaged index is replaced by an empty one."""
        try:
            return self._cache.load_overload(*signature)
        except Exception as error:  # unpickling raises anything
            self._report(error)
            with contextlib.suppress(OSError):
                self._cache.flush()
            return None

    def save_overload(self, *compiled_function: Any) -> None:
        """Keeps machine code if that is possible."""
        try:
            self._cache.save_overload(*compiled_function)
        except OSError as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        _report_compiled(self._cache.cache_path, one_line(error))


@functools.cache
def _report_compiled(folder: str, reason: str) -> None:
    """Prints it once for a folder: it holds many functions."""
    print(f"{folder}: compiled functions must be kept here, got: {reason}; they are compiled again", file=sys.stderr)


def kernel_threads() -> int:
    """Threads that a caller may divide a kernel's work among: NUMBA_NUM_THREADS, or one for each processor."""
    return numba.config.NUMBA_NUM_THREADS
