"""Training by two processes on one machine, compared with one process: weights, faults, restart, time.

    python -m benchmarks.distributed_training
    python -m benchmarks.distributed_training --time

By default, the tiny networks of the tests make three updates of two crops. Prints the largest difference of the weights
between one process and two, between the two, and after one of the two was killed and both were started again; what the
other one reports when a process is killed, and when the two have different options.

--time: seconds per update at the paper's size (`benchmarks.training_step`) of one process and of two that share this
machine's processors. Both have all processors, so that two cannot be faster: the difference is the cost of connecting.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from configs import flags, schema
from lib.cluster.ports import free_ports

CROPS, SIZE, UPDATES = 10, 32, 3
RATES = (3e-3, 1e-4)  # the default, at which Adam magnifies rounding, and the paper's


def main() -> None:
    """Runs one process, two, and two of which one is killed or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder for crops and runs; default: a temporary one")
    parser.add_argument("--time", action="store_true", help="measure seconds per update")
    parser.add_argument("--updates", type=int, default=20, help="--time: number of updates")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        sys.exit(run_task(args.root, **json.loads(args.task)))
    with tempfile.TemporaryDirectory() as temporary:
        root = args.root or Path(temporary)
        if args.time:
            measure(root, args.updates)
        else:
            compare(root)


def compare(root: Path) -> None:
    """Prints differences of the weights, exit codes and messages."""
    options = pack(root)
    for rate in RATES:
        changed = options | {"train.learning_rate": rate}
        finish([start(root, f"one-{rate}", changed)])
        finish(start_two(root, f"two-{rate}", changed))
        one, first, second = weights(root, f"one-{rate}"), weights(root, f"two-{rate}"), weights(root, f"two-{rate}", 1)
        print(f"learning rate {rate}: one process and two: weights differ by {difference(one, first)}", flush=True)
        print(f"  the two processes: {difference(first, second)}", flush=True)
    options["train.learning_rate"] = RATES[-1]
    for killed in (1, 0):
        run = f"without{killed}"
        print(f"process {killed} killed after 2 updates:", flush=True)
        report(start_two(root, run, options, kill={killed: 2}))
        finish(start_two(root, run, options | {"train.restore": True}))
        again = weights(root, run)
        print(f"  started again: weights differ from one process by {difference(one, again)}", flush=True)
    print("with other options in process 1:")
    report(start_two(root, "other", options, changes={1: {"train.clip_norm": 1.0}}))
    print("with a critic:")
    report(start_two(root, "critic", options | {"gan.enabled": True}))


def measure(root: Path, updates: int) -> None:
    """Prints the median seconds per update of one process and of two."""
    prepare = [sys.executable, "-m", "benchmarks.training_step", "--side", "prepare", "--folder", str(root)]
    subprocess.run(prepare, check=True)
    files = {name: f"{root / name.split('.')[0]}.npz" for name in ("regressor.weights", "identity.weights")}
    options = files | {
        "data.root_dir": str(root), "face_model.source": str(root / "face.npz"), "train.epochs": 1,
        "train.updates_per_epoch": updates, "config": "configs/paper.yaml",
    }  # fmt: skip
    finish([start(root, "one", options, checkpoint_seconds=1e9)])
    finish(start_two(root, "two", options, checkpoint_seconds=1e9))
    for run in ("one", "two"):
        print(f"{run}: {seconds_per_update(root, run):.3f} s per update")


def start_two(
    root: Path,
    run: str,
    options: dict[str, object],
    kill: dict[int, int] | None = None,
    changes: dict[int, dict[str, object]] | None = None,
    **behaviour: object,
) -> list[subprocess.Popen]:
    """Starts the two processes of a run.

    Args:
      root: folder of the crops.
      run: its name.
      options: of both processes.
      kill: process -> number of updates after which it kills itself.
      changes: process -> its own options.
      behaviour: of both, see `run_task`.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        own = options | (changes or {}).get(index, {})
        after = (kill or {}).get(index)
        processes.append(start(root, run, own, index, addresses, kill_after=after, **behaviour))
    return processes


def start(
    root: Path,
    run: str,
    options: dict[str, object],
    index: int = 0,
    addresses: list[str] | None = None,
    **behaviour: object,
) -> subprocess.Popen:
    """Starts a process of a run; `behaviour` as in `run_task`."""
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1")
    if addresses:
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    task_text = json.dumps({"run": run, "index": index, "options": options, **behaviour})
    command = [sys.executable, "-m", "benchmarks.distributed_training", "--root", str(root), "--task", task_text]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(processes: list[subprocess.Popen]) -> None:
    """Waits for processes, which must succeed."""
    errors = [process.communicate(timeout=1800)[1] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("\n".join(errors))


def report(processes: list[subprocess.Popen]) -> None:
    """Prints exit code, seconds and errors of each process."""
    began = time.monotonic()
    for index, process in enumerate(processes):
        errors = process.communicate(timeout=600)[1].split("\r")[-1].strip().splitlines()
        lines = [line for line in errors if "encode crops" not in line]
        ended = f"  process {index}: exit code {process.returncode} after {time.monotonic() - began:.0f} s"
        print(ended, *lines, sep="\n    ")


def run_task(
    root: Path,
    run: str,
    index: int,
    options: dict,
    kill_after: int | None = None,
    checkpoint_seconds: float = 0.0,
) -> int:
    """Runs one process as `main.py` does; stores its variables and the times of its updates."""
    import main as program
    from lib.runtime.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from model.runs import checkpoints
    from model.training import loop

    checkpoints.SECONDS = checkpoint_seconds
    trainers: list[loop.TextureTrainer] = []
    times: list[float] = []

    class Kept(loop.TextureTrainer):
        """Trainer that is found again, and that kills its process after some updates."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            trainers.append(self)

        def update(self, *arguments):
            if len(times) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            times.append(time.monotonic())
            return super().update(*arguments)

    loop.TextureTrainer = Kept
    argv = ["--mode", "train", "--suffix", run, "--config", options.pop("config")]
    argv += ["--distribute", "multi_worker"] if "TF_CONFIG" in os.environ else []
    argv += [f"{key}={json.dumps(value)}" for key, value in options.items()]
    code = flags.run(lambda: program.main(argv), "")
    if code == 0:
        variables = {name: np.asarray(value) for name, value in trainers[0].network_state()["texture"].items()}
        np.savez(root / f"{run}-{index}.npz", times=times, **variables)
    return code


def pack(root: Path) -> dict[str, object]:
    """Packs the crops of the tests' tiny networks; returns the options."""
    from lib.records.record_writer import RecordWriter
    from lib.records.splits import save_split
    from tests.support.toy_faces import ToyFaces, save_toy_model, toy_configuration

    changes = {"train.epochs": 1, "train.batch_size": 2, "schedule.warmup": 1, "texture.drop_rate": 0.2}
    config = toy_configuration(root, SIZE)
    source, names = ToyFaces(save_toy_model(config), SIZE, 3), [f"{i}.png" for i in range(CROPS)]
    with RecordWriter(config.records_path, (SIZE, SIZE, 4)) as writer:
        for i, name in enumerate(names):
            face = source.sample(i)
            writer.append(np.dstack([face.image, face.alpha]), name)
    save_split(config.params_dir, {"train": names[: 2 * UPDATES], "val": names[6:9], "test": names[9:]})
    (root / "config.yaml").write_text(schema.to_yaml(config), encoding="utf-8")
    return {"config": str(root / "config.yaml"), **changes}


def weights(root: Path, run: str, index: int = 0) -> dict[str, np.ndarray]:
    """Weights that a process of a run ended with."""
    with np.load(root / f"{run}-{index}.npz") as data:
        return {name: data[name] for name in data.files if name != "times"}


def seconds_per_update(root: Path, run: str) -> float:
    """Median time between the updates of the chief after the first three, which compile."""
    with np.load(root / f"{run}-0.npz") as data:
        return statistics.median(np.diff(data["times"])[3:].tolist())


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> str:
    """Largest absolute difference of weights, with its place and the share of weights that differ by more than 1e-6."""
    differences = {name: np.abs(a[name] - b[name]) for name in a}
    name = max(differences, key=lambda name: differences[name].max())
    beyond = sum(int((values > 1e-6).sum()) for values in differences.values())
    count = sum(values.size for values in differences.values())
    return f"{differences[name].max():.1e} at most (in {name}); {beyond} of {count:,} by more than 1e-6"


if __name__ == "__main__":
    main()
