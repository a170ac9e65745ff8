"""Notes of a child about its memory, open files and time."""

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True)
class Watch:
    """Calls of one of the program's functions at which a child notes its memory, descriptors and time.

    Attributes:
      function: as in Aim.
      every: calls between two notes.
      notes: the file to which a line "call seconds resident spare descriptors yardstick" is appended. The seconds are
        of processor time, so that other work on the computer does not count, and the yardstick is that of a fixed
        computation, because processor time, too, grows when other work shares caches and cores. Of the resident
        bytes, the spare ones are what the C library keeps of freed blocks: tens of megabytes, more or less by turns.
    """

    function: str
    every: int
    notes: Path


class _Heap(ctypes.Structure):
    """The C library's struct mallinfo2."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


def _spare() -> int:
    """Bytes of freed blocks that the C library keeps; 0 for libraries that do not tell."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return 0
    tell.restype = _Heap
    return int(tell().fordblks)


def watched(function: Callable, watch: Watch) -> Callable:
    """The function, with a note after every so many calls."""
    state = {"calls": 0, "measuring": 0.0}
    page = os.sysconf("SC_PAGE_SIZE")

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        state["calls"] += 1
        if state["calls"] % watch.every == 0:
            spent = time.process_time() - state["measuring"]
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            descriptors, spare = len(os.listdir("/proc/self/fd")), _spare()
            yardstick = _yardstick()
            with open(watch.notes, "a") as stream:
                stream.write(f"{state['calls']} {spent:.2f} {resident} {spare} {descriptors} {yardstick:.5f}\n")
            state["measuring"] = time.process_time() - spent
        return result

    return wrapped


def _yardstick() -> float:
    """Processor time of a fixed computation of some 20 ms, in arithmetic and in memory [s]."""
    import numpy as np

    numbers, matrix = np.arange(400_000) * 7919 % 104_729, np.full((256, 256), 0.5, np.float32)
    started = time.process_time()
    np.sort(numbers)
    for _ in range(20):
        matrix = matrix @ matrix * 0.01
    return time.process_time() - started
