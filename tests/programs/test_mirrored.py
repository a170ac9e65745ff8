"""--distribute mirrored: its processes and GPUs, refusals, and real trainings by two processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import main
from configs import schema
from lib.cluster.gpus import count_gpus
from lib.errors import UserError
from lib.files import headed_npz
from lib.runtime.resources import processors
from model.runs import processes
from tests.support.helpers import ROOT
from tests.support.programs.main_program import called_instead
from tests.support.programs.one_line import one_line
from tests.support.toy_faces import save_toy_root, toy_configuration

SIZE, SECONDS = 32, 400  # the machine may be busy
MIRRORED = ("--distribute", "mirrored")


@pytest.fixture
def machine(monkeypatch):
    """A function that gives this machine some GPUs; returns the calls of what starts the processes."""
    calls = []

    def with_gpus(count: int) -> list[tuple]:
        monkeypatch.setattr(processes, "count_gpus", lambda: count)
        return calls

    monkeypatch.setattr(main, "check_records", lambda config: None)
    monkeypatch.setattr(processes, "run_replicas", lambda *arguments: calls.append(arguments) or 7)
    for name in ("TF_NUM_INTRAOP_THREADS", "CUDA_VISIBLE_DEVICES"):  # so that they are as before after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return with_gpus


def test_each_gpu_gets_the_command_as_a_worker(machine):
    calls = machine(3)
    words = ["--mode", "train", *MIRRORED, "--name", "mine", "--replicas=2", "--batch_size", "8", "loss.symmetry=0.1"]
    assert main.main(words) == 7
    ((command, environments, folder),) = calls
    assert command[:2] == [sys.executable, str(ROOT / "main.py")]
    args = main.parse(command[2:])
    assert (args.mode, args.distribute, args.replicas) == ("train", "multi_worker", None)
    config = schema.load(args.config, args.overrides)
    assert (config.data.name, config.train.batch_size, config.loss.symmetry) == ("mine", 8, 0.1)
    assert environments == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert folder == config.run_dir
    assert int(os.environ["TF_NUM_INTRAOP_THREADS"]) == max(processors() // 4, 1), "shared by two processes"


@pytest.mark.parametrize(("gpus", "replicas"), [(0, []), (1, []), (4, ["--replicas", "1"])])
def test_a_single_process_trains_itself(gpus, replicas, machine, monkeypatch):
    calls, trained = machine(gpus), called_instead(monkeypatch, "model.training.loop", "train")
    assert main.main([*MIRRORED, *replicas]) == 0
    assert not calls
    assert len(trained) == 2, "the seed, and the training"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == ("0" if gpus else None)


@pytest.mark.parametrize(
    ("gpus", "words", "message"),
    [
        (2, "--distribute mirrored --replicas 3 --batch_size 3", "--replicas must be at most 2, the number of GPUs"),
        (3, "--distribute mirrored --batch_size 4", "train.batch_size: must be a multiple of the 3 workers, got 4"),
        (0, "--distribute mirrored --replicas 2 --gan --batch_size 2", "gan.enabled: must be false with 2 processes"),
        (0, "--distribute mirrored --replicas 0", "--replicas must be at least 1, got 0 (leave it out"),
        (0, "--distribute mirrored --replicas two", "argument --replicas: invalid int value: 'two'"),
        (0, "--replicas 2", "--replicas must come with --distribute mirrored, got no --distribute"),
        (0, "--distribute multi_worker --replicas 2", "must come with --distribute mirrored, got multi_worker"),
        (0, "--mode test --distribute mirrored", "--distribute must come with --mode train, got --mode test"),
    ],
)  # fmt: skip
def test_wrong_counts_are_refused_in_one_line(gpus, words, message, machine, capsys):
    calls = machine(gpus)
    assert message in one_line(main.main, words.split(), capsys)
    assert not calls


def test_gpus_are_counted_by_tensorflow_in_another_process(tmp_path, monkeypatch):
    """One of a test's own, which takes no seconds to start."""
    package, names = tmp_path / "tensorflow.py", "SimpleNamespace(list_physical_devices=lambda kind: [kind] * 3)"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    package.write_text(f"from types import SimpleNamespace\nprint('a notice')\nconfig = {names}\n")
    assert count_gpus() == 3
    package.write_text("raise ImportError('no library')\n")
    with pytest.raises(UserError, match="TensorFlow must start to count the GPUs, got ImportError: no library"):
        count_gpus()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert count_gpus() == 0, "hidden ones need no TensorFlow"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder of a configuration with the tests' smallest networks, whose training makes three updates."""
    folder = tmp_path_factory.mktemp("mirrored")
    settings = {"batch_size": 2, "epochs": 1, "learning_rate": 1e-4}
    changes = {f"train__{name}": value for name, value in settings.items()}
    config = toy_configuration(folder, SIZE, **changes, schedule__warmup=1, texture__weights="", texture__drop_rate=0.2)
    save_toy_root(config, 10)
    (folder / "config.yaml").write_text(schema.to_yaml(config), encoding="utf-8")
    return folder


class Training:
    """A training by main.py as a process of its own, without GPUs."""

    def __init__(self, root: Path, name: str, *words: str):
        self.folder, self._shown = root / "checkpoints" / f"face_{name}", root / f"{name}.txt"
        variables = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
        command = [
            sys.executable,
            str(ROOT / "main.py"),
            "--config",
            str(root / "config.yaml"),
            "--suffix",
            name,
            *words,
        ]
        with open(self._shown, "w", encoding="utf-8") as stream:
            self._process = subprocess.Popen(
                command, env=variables | {"CUDA_VISIBLE_DEVICES": "-1"}, stdout=stream, stderr=stream
            )

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def lines(self) -> list[str]:
        """What is shown, without the earlier states of a line."""
        return self._shown.read_text(encoding="utf-8").replace("\r", "\n").splitlines()

    def reach(self, text: str) -> None:
        """Waits until a text is shown."""
        deadline = time.monotonic() + SECONDS
        while not any(text in line for line in self.lines):
            assert self._process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """The processes that it has started, in their order."""
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def code(self) -> int:
        return self._process.wait(SECONDS)

    def weights(self) -> dict[str, np.ndarray]:
        _, arrays = headed_npz.read(self.folder / "latest.npz")
        return {name: array for name, array in arrays.items() if name.startswith("texture/")}


def is_gone(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")


@needs_proc
def test_two_processes_stopped_and_resumed_train_like_one(root):
    with Training(root, "one") as one:
        assert one.code() == 0, one.lines
    with Training(root, "two", *MIRRORED, "--replicas", "2") as two:
        two.reach("0/3")  # the first update compiles for seconds
        workers = two.workers()
        two.stop()
        assert two.code() == 143, two.lines
    assert len(workers) == 2
    assert all(map(is_gone, workers))
    saved = two.folder / "latest.npz"
    assert two.lines[-1] == f"interrupted; {saved} is saved; the same command with --restore continues from it"
    shown = [int(count) for line in two.lines for count in re.findall(r"\b(\d)/3\b", line)]
    assert headed_npz.read(saved)[0]["progress"]["update"] >= max(1, *shown), "no update is lost"
    with Training(root, "two", *MIRRORED, "--replicas", "2", "--restore") as resumed:
        assert resumed.code() == 0, resumed.lines
    assert not list(resumed.folder.glob("worker-*.log")), "nothing has failed"
    expected = one.weights()
    for name, array in resumed.weights().items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6, err_msg=name)


@needs_proc
def test_a_killed_process_ends_all_in_one_line(root):
    with Training(root, "killed", *MIRRORED, "--replicas", "2") as training:
        training.reach("0/3")
        workers = training.workers()
        os.kill(workers[1], signal.SIGKILL)
        assert training.code() == 2, training.lines
    assert all(map(is_gone, workers))
    (line,) = [line for line in training.lines if line.startswith("error")]
    assert line.startswith("error: all 2 processes must stay connected, got no answer from worker 1 (127.0.0.1:")
    assert line.endswith("start all again: no checkpoint was written yet; the same command starts again)")
    assert line == training.lines[-1]
    assert any(f"the others to {training.folder / 'worker-1.log'}" in line for line in training.lines)
    assert (training.folder / "worker-1.log").exists()
