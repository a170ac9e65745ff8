"""Training by two processes on one machine, compared with one process: weights, restart after a kill, time.

    python -m benchmarks.distributed_training

The tiny networks of the tests, three updates of two crops. Prints the largest difference of the weights between one
process and two, between the two, and after one of the two was killed and both were started again.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CROPS, SIZE, UPDATES = 10, 32, 3


def main() -> None:
    """Runs one process, two, and two of which one is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="folder for crops and runs; default: a temporary one")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        run_task(Path(args.root), **json.loads(args.task))
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(args.root or temporary))


def compare(root: Path) -> None:
    """Prints the differences."""
    finish([start(root, "one", None)])
    one = weights(root, "one", 0)
    began = time.monotonic()
    ports = free_ports(2)
    finish([start(root, "two", ports, index) for index in range(2)])
    print(f"two processes: {time.monotonic() - began:.0f} s from the start to the end of both")
    print(f"one process and two: weights differ by {difference(one, weights(root, 'two', 0)):.1e} at most")
    print(f"the two processes: {difference(weights(root, 'two', 0), weights(root, 'two', 1)):.1e}")

    ports = free_ports(2)
    processes = [start(root, "killed", ports, index, kill_after=2 if index else 0) for index in range(2)]
    codes = [process.wait(timeout=600) for process in processes]
    print(f"one killed after 2 updates: exit codes {codes}")
    ports = free_ports(2)
    finish([start(root, "killed", ports, index, restore=True) for index in range(2)])
    print(f"started again: {difference(one, weights(root, 'killed', 0)):.1e}")


def start(root: Path, run: str, ports: list[int] | None, index: int = 0, **options: object) -> subprocess.Popen:
    """Starts a process of a run."""
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2")
    if ports is not None:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    told = json.dumps({"run": run, "index": index, **options})
    command = [sys.executable, "-m", "benchmarks.distributed_training", "--root", str(root), "--task", told]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def finish(processes: list[subprocess.Popen]) -> None:
    """Waits for processes, which must succeed."""
    codes = [process.wait(timeout=600) for process in processes]
    if any(codes):
        raise SystemExit("a process failed")


def run_task(root: Path, run: str, index: int, kill_after: int = 0, restore: bool = False) -> None:
    """One process of a run; stores its variables."""
    from model.training import loop, run_folder, workers

    connected = workers.connect() if "TF_CONFIG" in os.environ else workers.Workers()
    config = data_set(root, restore) if connected.chief else None
    connected.barrier()
    config = config or data_set(root, restore)
    run_folder.CHECKPOINT_SECONDS = 0
    trainers: list[loop.TextureTrainer] = []

    class Kept(loop.TextureTrainer):
        """Trainer that is found again, and that kills its process after some updates."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            trainers.append(self)
            self.updates = 0

        def update(self, *arguments):
            if kill_after and self.updates == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            self.updates += 1
            return super().update(*arguments)

    loop.TextureTrainer = Kept
    loop.train(config, root / run, workers=connected)
    variables = {name: np.asarray(value) for name, value in trainers[0].network_state()["texture"].items()}
    np.savez(root / f"{run}-{index}.npz", **variables)


def data_set(root: Path, restore: bool):
    """Configuration of the tests' tiny networks, after their crops were packed."""
    from lib.records.record_writer import RecordWriter
    from lib.records.splits import save_split
    from tests.support.toy_faces import ToyFaces, save_toy_model, toy_configuration

    config = toy_configuration(
        root, SIZE, train__epochs=1, train__batch_size=2, schedule__warmup=1, train__restore=restore
    )
    if not config.records_path.is_file():
        source, names = ToyFaces(save_toy_model(config), SIZE, 3), [f"{i}.png" for i in range(CROPS)]
        with RecordWriter(config.records_path, (SIZE, SIZE, 4)) as writer:
            for i, name in enumerate(names):
                face = source.sample(i)
                writer.append(np.dstack([face.image, face.alpha]), name)
        save_split(config.params_dir, {"train": names[: 2 * UPDATES], "val": names[6:9], "test": names[9:]})
    return config


def weights(root: Path, run: str, index: int) -> dict[str, np.ndarray]:
    """Weights that a process of a run ended with."""
    with np.load(root / f"{run}-{index}.npz") as data:
        return {name: data[name] for name in data.files}


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Largest absolute difference of weights."""
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    main()
