"""Imports of packages that would load others, which this program does not need, if they are installed."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hidden(package: str) -> Iterator[None]:
    """Context manager in which a package that is not imported yet looks as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # Python's own way to make an import fail
    try:
        yield
    finally:
        del sys.modules[package]
