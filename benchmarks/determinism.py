"""Trains one network several times with other workers and threads: are the weights equal, and what does that cost?

python -m benchmarks.determinism [--updates 40] [section.key=value ...]

Packed crops must be there (create_bin.py). Every run is a process of its own, with --deterministic and without; prints
a hash of the weights, and medians per update: seconds, for which the machine must be idle otherwise, and processor
seconds.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
# Number of threads that the environment gives (None: as many as there are processors), and --workers.
RUNS = ((None, 1), (1, 3), (3, 2))
COMPILING = 5  # updates at the start that are not timed


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments, arguments.options = parser.parse_known_args()
    return arguments


def train_here(options: list[str]) -> dict:
    """Trains in this process; returns the hash of the weights and the seconds per update."""
    import main
    from model.training import loop

    starts: list[tuple[float, float]] = []
    show = loop._show

    def note(*arguments) -> None:
        starts.append((time.perf_counter(), time.process_time()))
        show(*arguments)

    loop._show = note
    with tempfile.TemporaryDirectory() as folder:
        train = loop.train
        loop.train = lambda config, _: train(config, Path(folder))
        main.main(["--mode", "train", *options])
        with np.load(Path(folder) / "latest.npz") as checkpoint:
            names = sorted(name for name in checkpoint.files if name != "header")
            weights = hashlib.sha256(b"".join(checkpoint[name].tobytes() for name in names)).hexdigest()
    seconds, processor = (statistics.median(column) for column in np.diff(starts[COMPILING:], axis=0).T.tolist())
    return {"weights": weights[:16], "seconds": round(seconds, 4), "processor_seconds": round(processor, 4)}


def run(options: list[str], threads: int | None, workers: int) -> dict:
    """Trains in a process of its own."""
    environment = {**os.environ} | ({} if threads is None else dict.fromkeys(THREADS, str(threads)))
    command = [sys.executable, "-m", "benchmarks.determinism", "--child", *options, "--workers", str(workers)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main_program() -> None:
    arguments = parse_arguments()
    if arguments.child:
        print(json.dumps(train_here(arguments.options)))
        return
    options = ["--epoch", "1", f"train.updates_per_epoch={arguments.updates}", *arguments.options]
    for flags in (["--deterministic"], []):
        found = []
        for threads, workers in RUNS:
            found.append(run([*options, *flags], threads, workers))
            given = "as processors" if threads is None else str(threads)
            print(f"{' '.join(flags) or 'without':15}  threads {given:13}  workers {workers}  {found[-1]}", flush=True)
        equal = len({one["weights"] for one in found}) == 1
        print(f"{' '.join(flags) or 'without':15}  {'equal' if equal else 'different'} weights")


if __name__ == "__main__":
    main_program()
