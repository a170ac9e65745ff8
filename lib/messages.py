"""Wording of messages, and printing of a run's report to a standard output that its reader may have closed."""

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterable

from lib.errors import UserError


def counted(number: float, noun: str) -> str:
    """A number with its noun: "1 photo", "2 photos", "0.5 minutes"."""
    digits = f"{number:g}" if isinstance(number, float) else f"{number}"
    return f"{digits} {noun}" if number == 1 else f"{digits} {noun}s"


def restoring(path: str | os.PathLike) -> str:
    """What to do about a file of the program that is missing or damaged."""
    return f"`git checkout -- {shlex.quote(os.fspath(path))}` restores it, or a new copy of the program does"


def print_lines(lines: Iterable[str], advice: str) -> None:
    """Prints lines.

    Args:
      lines: the lines.
      advice: what is done nevertheless if they cannot be printed.

    Raises:
      UserError: standard output is closed.
    """
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard()
        raise UserError(f"standard output must stay open to the end, got it closed ({advice})") from None


def _discard() -> None:
    """Lets what is printed from now on, and what is left in the buffer at the end, go nowhere instead of failing."""
    with contextlib.suppress(io.UnsupportedOperation), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
