"""The first moments of a program, before its imports; so that it runs at once, this module imports Python's alone."""

import os
import runpy
import signal
import sys
from types import FrameType

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def begin() -> None:
    """Opens missing standard streams, and makes orders to stop end the process in one line.

    Without a standard stream (`2>&-`), the next file to be opened would get its descriptor. The other imports take a
    second; after them, `configs.flags.run` handles orders to stop.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has no SIGHUP. A signal that is ignored (nohup) stays ignored.
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    # An exception would go through the module that is being imported, which may make another of it.
    os.write(2, b"\ninterrupted\n")
    os._exit(128 + number)


def face_gcn() -> None:
    """Console script: main.py as a program."""
    runpy.run_module("main", run_name="__main__")
