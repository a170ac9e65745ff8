"""Prints the seconds to the first update of `--mode train` and the updates per second after it.

python -m benchmarks.bench.first_updates ROOT STARTED, with the time.monotonic() at which the command was given.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

SKIPPED, LAST = 40, 240


class Enough(Exception):
    """The run has made all updates that are measured."""


def main() -> None:
    root, started = sys.argv[1], float(sys.argv[2])
    import main as program

    times: list[float] = []

    def noted(log_terms: Callable[..., None]) -> Callable[..., None]:
        def note(log: Any, terms: dict[str, float], update: int) -> None:
            log_terms(log, terms, update)  # TensorBoard's scalars are part of an update's time
            times.append(time.monotonic())
            if len(times) == LAST:
                raise Enough

        return note

    start_tensorflow = program.start_tensorflow

    def start_and_watch(*arguments: Any, **options: Any) -> None:
        start_tensorflow(*arguments, **options)
        from model.training.run_log import RunLog

        RunLog.training = noted(RunLog.training)

    program.start_tensorflow = start_and_watch
    try:
        program.main(["--mode", "train", "--root_dir", root, f"train.updates_per_epoch={2 * LAST}"])
    except Enough:
        print(times[0] - started, (LAST - SKIPPED) / (times[-1] - times[SKIPPED - 1]))


if __name__ == "__main__":
    main()
