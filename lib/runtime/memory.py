"""Memory that is still available, to decide how many processes to start."""

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# Limit and use of a container: control groups version 2.
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def affordable(processes: int, each: int) -> int:
    """The number of processes, up to `processes` and at least one, that fit into memory with `each` bytes."""
    available = available_bytes()
    return processes if available is None else max(min(processes, available // each), 1)


def available_bytes() -> int | None:
    """Memory that new processes can use, also within a container's limit; None on systems without /proc."""
    if not _MEMINFO.is_file():
        return None
    entries = dict(line.split(":") for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
    available = int(entries["MemAvailable"].split()[0]) * 1024
    if _LIMIT.is_file() and (limit := _LIMIT.read_text(encoding="utf-8").strip()) != "max":
        available = min(available, max(int(limit) - int(_USED.read_text(encoding="utf-8")), 0))
    return available
