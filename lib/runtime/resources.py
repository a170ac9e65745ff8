"""Processors that this process may use, memory for new processes, and what a process keeps of the memory it frees."""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

_OPEN_FILES = 65_536
_MEMINFO = Path("/proc/meminfo")
# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
# The control groups of this process, to which containers and batch systems give limits, and where their files are.
_GROUPS, _GROUP_FILES = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# Files of limit and use in a group, and the name of the part of the use that is files in the page cache that nobody has
# read lately: they make room. Of control groups version 2 and 1.
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def processors() -> int:
    """Number of processors: a container or a batch system may give a process fewer than the machine has.

    It gives them themselves, or a share of the time of all, which is rounded up.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([count, *_quotas()])


def _quotas() -> Iterator[int]:
    """Processors whose whole time the control groups of this process allow."""
    for group, version in _groups("cpu"):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            if version == 2:
                quota, period = map(int, (group / "cpu.max").read_text(encoding="utf-8").split())
            else:
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                quota, period = (int((group / name).read_text(encoding="utf-8")) for name in names)
            if quota > 0 and period > 0:  # -1 without a limit
                yield -(-quota // period)


def allow_open_files() -> None:
    """Raises this process's limit of open files, which is often 1,024, as far as the system allows.

    Up to `_OPEN_FILES`: with an unlimited number, some programs that are started close all that there could be.
    """
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a system may allow fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def affordable(processes: int, each: int) -> int:
    """The number of processes, up to `processes` and at least one, that fit into memory with `each` bytes."""
    available = available_bytes()
    return processes if available is None else max(min(processes, available // each), 1)


def available_bytes() -> int | None:
    """Memory that new processes can use, also within the limits of its groups; None on systems that do not tell it."""
    if not _MEMINFO.is_file():
        return None
    entries = dict(line.split(":") for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
    if "MemAvailable" not in entries:  # as in the first Windows Subsystem for Linux
        return None
    available = int(entries["MemAvailable"].split()[0]) * 1024
    return min([available, *_rooms()])


def _rooms() -> Iterator[int]:
    """What the control groups of this process have left for it."""
    for group, version in _groups("memory"):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            yield _room(group, *(_VERSION_2 if version == 2 else _VERSION_1))


def _groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Folders of the control groups of this process, from the outermost to its own, with the version of each."""
    lines = _GROUPS.read_text(encoding="utf-8").splitlines() if _GROUPS.is_file() else []
    for _, controllers, own in (line.split(":", 2) for line in lines):
        if controllers and controller not in controllers.split(","):
            continue
        top, version = (_GROUP_FILES / controller, 1) if controllers else (_GROUP_FILES, 2)
        # A container may see its own group as the outermost one, under which its path does not exist.
        parts = [part for part in own.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            yield top.joinpath(*parts[:depth]), version


def _room(group: Path, limit: str, used: str, cached: str) -> int:
    """The memory that a group has left; raises ValueError if it has no limit."""
    most, now = (int((group / name).read_text(encoding="utf-8")) for name in (limit, used))
    parts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    return max(most - now + int(parts.get(cached, 0)), 0)


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
