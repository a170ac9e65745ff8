"""A side of a comparison in a process of its own: python -m benchmarks.bench.side MODULE SIDE."""

import importlib
import sys
from collections.abc import Sequence

from benchmarks.bench.comparison import Samples
from benchmarks.turns import MissingPeer, Side, serve, take_turns


def in_turns(
    module: str, sides: Sequence[str], turns: int, count: int
) -> tuple[dict[str, dict[str, list[float]]], str]:
    """Figures of a module's sides, by side and name, and why sides are missing; the first turn is not counted.

    Args:
      module: module of this package.
      sides: its functions; each prepares a side and returns the function that measures a number of steps. The first,
        ours, must not be missing.
      turns: turns of each side.
      count: steps of a turn.
    """
    processes = {side: Side([sys.executable, "-m", "benchmarks.bench.side", module, side]) for side in sides}
    reasons = []
    for name, process in list(processes.items()):
        try:
            process.measure(1)  # compiles
        except MissingPeer as reason:
            reasons.append(str(reason))
            process.close()
            del processes[name]
    found = take_turns(processes, turns, count)
    for process in processes.values():
        process.close()
    return found, "; ".join(reasons)


def samples_of(found: dict[str, dict[str, list[float]]], ours: str, peer: str, figure: str, missing: str) -> Samples:
    """Samples of one figure of two sides."""
    return (
        Samples(found[ours][figure], found[peer][figure])
        if peer in found
        else Samples(found[ours][figure], (), missing)
    )


def main() -> None:
    module, side = sys.argv[1:]
    serve(getattr(importlib.import_module(f"benchmarks.bench.{module}"), side))


if __name__ == "__main__":
    main()
