"""Moments within a program's functions at which a child kills itself."""

import contextlib
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNKNOWN = 0.02  # duration of a call of which nothing is known [s]


@dataclass(frozen=True)
class Aim:
    """A moment at which a child kills itself: a while after it has entered one of the program's functions.

    Attributes:
      function: "module:Class.method", where the program looks the function up.
      call: number of the call, from 1.
      share: moment within the call, as a share of the duration of the previous one.
      first: duration of the call in the undisturbed run, for a first call, which has no previous one [s].
    """

    function: str
    call: int
    share: float
    first: float = UNKNOWN


def replace(place: str, replacement: Callable[[Any], Any]) -> None:
    """Replaces a function or constant "module:name" of the program, given the present one."""
    module, _, name = place.partition(":")
    *scopes, last = name.split(".")
    owner: Any = importlib.import_module(module)
    for scope in scopes:
        owner = getattr(owner, scope)
    setattr(owner, last, replacement(getattr(owner, last)))


def aimed(function: Callable, aim: Aim, inside: Path) -> Callable:
    """The function, in which the process is killed; the file `inside` exists while the aimed call runs."""
    state = {"calls": 0, "seconds": aim.first}

    def wrapped(*arguments: Any, **named: Any) -> Any:
        state["calls"] += 1
        if state["calls"] == aim.call:
            inside.touch()
            timer = threading.Timer(aim.share * state["seconds"], os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
        started = time.monotonic()
        result = function(*arguments, **named)
        state["seconds"] = time.monotonic() - started
        with contextlib.suppress(FileNotFoundError):
            inside.unlink()
        return result

    return wrapped


def noting_durations(function: Callable, name: str, notes: Path) -> Callable:
    """The function, of which each call appends a line "name seconds" to a file."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        started = time.monotonic()
        result = function(*arguments, **named)
        with open(notes, "a") as stream:
            stream.write(f"{name} {time.monotonic() - started:.4f}\n")
        return result

    return wrapped
