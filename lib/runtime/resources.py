"""Memory: what is still available for new processes, and what a process keeps of the memory that it frees."""

import ctypes
import platform
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
# Limit and use of a container, and what the use consists of: control groups version 2.
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_PARTS = Path("/sys/fs/cgroup/memory.stat")


def affordable(processes: int, each: int) -> int:
    """The number of processes, up to `processes` and at least one, that fit into memory with `each` bytes."""
    available = available_bytes()
    return processes if available is None else max(min(processes, available // each), 1)


def available_bytes() -> int | None:
    """Memory that new processes can use, also within a container's limit; None on systems that do not tell it."""
    if not _MEMINFO.is_file():
        return None
    entries = dict(line.split(":") for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
    if "MemAvailable" not in entries:  # as in the first Windows Subsystem for Linux
        return None
    available = int(entries["MemAvailable"].split()[0]) * 1024
    if _LIMIT.is_file() and (limit := _LIMIT.read_text(encoding="utf-8").strip()) != "max":
        available = min(available, max(int(limit) - _needed_bytes(), 0))
    return available


def _needed_bytes() -> int:
    """What a container uses, without files in the page cache that nobody has read lately: they make room."""
    parts = dict(line.split() for line in _PARTS.read_text(encoding="utf-8").splitlines())
    return int(_USED.read_text(encoding="utf-8")) - int(parts.get("inactive_file", 0))


def keep_freed_memory() -> None:
    """Makes this process keep the memory that it frees, for the next tensors; call it before TensorFlow is imported.

    Otherwise glibc returns large blocks to the system, which clears all their pages when the next step asks for the
    same memory again: two fifths of the processor time of a graph convolution. Its threads share one arena, because
    others hold no block above 64 MB. The peak stays about the same. Other C libraries lack these settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in ((_TRIM_THRESHOLD, 2**31 - 1), (_MMAP_MAX, 0), (_ARENA_MAX, 1)):
        libc.mallopt(parameter, value)
