"""Processes of one command on this machine: their environment and output, and their end, whoever is killed or told."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from lib.cluster import replicas
from lib.cluster.ports import free_ports
from lib.cluster.replicas import replica_environments
from lib.errors import UserError
from tests.support.helpers import ROOT
from tests.support.programs.replicas import BEFORE_THE_MEETING

SECONDS = 60  # for anything to happen; the machine may be busy


def gpus(*names: str) -> list[dict[str, str]]:
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names]


@pytest.mark.parametrize(
    ("wanted", "count", "visible", "environments"),
    [
        (None, 3, None, gpus("0", "1", "2")),
        (2, 3, None, gpus("0", "1")),
        (None, 2, "3, GPU-5f2c", gpus("3", "GPU-5f2c")),
        (1, 2, "3, 1", gpus("3")),
        (None, 0, None, [{}]),
        (3, 0, "-1", [{}, {}, {}]),
    ],
)
def test_each_process_has_its_gpu(wanted, count, visible, environments):
    variables = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert replica_environments(wanted, count, variables) == environments


def test_more_processes_than_gpus_are_refused():
    with pytest.raises(UserError, match=r"--replicas must be at most 2, the number of GPUs .+, got 3 \(give fewer"):
        replica_environments(3, 2, {})


def test_ports_are_free_and_different():
    with socket.create_server(("", free_ports(1)[0])) as used:
        ports = free_ports(50)
        assert used.getsockname()[1] not in ports
    assert len(set(ports)) == 50
    assert max(ports) < 32_768


@contextlib.contextmanager
def started(folder, count: int, ending: str):
    """Context manager for the program that starts the processes, once all are there; none of them may be left."""
    command = [sys.executable, "-m", "tests.support.programs.replicas", str(folder), str(count), ending]
    variables = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    launcher = subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = []
    try:
        wait_for(lambda: len(list(folder.glob("started-*.json"))) == count)
        pids = [json.loads((folder / f"started-{index}.json").read_text())["pid"] for index in range(count)]
        yield launcher
        wait_for(lambda: not any(map(is_alive, pids)))
    finally:
        launcher.kill()
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def waiting(folder, ending: str):
    """`started`, with two processes, once both wait for their end."""
    with started(folder, 2, ending) as launcher:
        wait_for(lambda: len(list(folder.glob("waits-*"))) == 2)
        yield launcher


def wait_for(happens) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped by a parent that is not this one does not."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        stat = f"/proc/{pid}/stat"
        if not os.path.exists(stat):
            return sys.platform != "linux"
        with open(stat, encoding="utf-8") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    return False


def finished(launcher: subprocess.Popen) -> tuple[int, str, str]:
    out, err = launcher.communicate(timeout=SECONDS)
    return launcher.returncode, out, err


def test_the_chief_is_shown_and_the_logs_of_a_good_run_are_deleted(tmp_path):
    with started(tmp_path, 3, "well") as launcher:
        code, out, err = finished(launcher)
    assert (code, err) == (0, "")
    first = f"3 processes train together; the chief writes here, the others to {tmp_path}/worker-1.log to worker-2.log"
    assert out.splitlines() == [first, "process 0 writes"]
    assert not list(tmp_path.glob("*.log"))
    found = [json.loads((tmp_path / f"started-{index}.json").read_text()) for index in range(3)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == ["0", "1", "2"]
    configurations = [json.loads(each["TF_CONFIG"]) for each in found]
    assert [each["task"] for each in configurations] == [{"type": "worker", "index": index} for index in range(3)]
    (addresses,) = {tuple(each["cluster"]["worker"]) for each in configurations}
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert len(set(addresses)) == 3


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ("refused", ""),
        ("worker 1 killed", "error: worker 1 is lost"),
        ("the chief killed", "error: the chief (127.0.0.1:"),
    ],
)
def test_a_failure_is_one_line_and_the_log_stays(ending, line, tmp_path):
    with started(tmp_path, 2, ending) as launcher:
        code, _, err = finished(launcher)
    assert code == 2
    assert err.startswith(line)
    assert len(err.splitlines()) == bool(line)
    assert (tmp_path / "worker-1.log").read_text().startswith("process 1 writes\n") or ending != "refused"


def test_a_process_lost_before_the_meeting_ends_all(tmp_path):
    """The chief would wait minutes for it."""
    with started(tmp_path, 2, BEFORE_THE_MEETING) as launcher:
        code, _, err = finished(launcher)
    assert code == 2
    message = (
        r"worker 1 \(127\.0\.0\.1:\d+\) must train until the end, got SIGKILL \(see .+/worker-1\.log; start again, "
    )
    assert re.fullmatch(f"error: {message}with --restore once there is a checkpoint\\)\n", err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_lets_the_chief_save(number, code, tmp_path):
    if signal.getsignal(number) == signal.SIG_IGN:  # as in a background job
        pytest.skip(f"signal {number} is ignored here")
    with waiting(tmp_path, "when told to stop") as launcher:
        os.killpg(launcher.pid, number)  # as a terminal does: all processes of the group
        found, _, err = finished(launcher)
    assert (found, err) == (code, "told to stop 1 time(s)\n")


def test_a_signal_that_comes_before_the_chief_can_save(tmp_path):
    with waiting(tmp_path, "by the signal") as launcher:
        launcher.send_signal(signal.SIGTERM)
        code, _, err = finished(launcher)
    assert (code, err) == (143, "\ninterrupted; in general like this\n")


def test_a_second_signal_ends_all_at_once(tmp_path):
    with waiting(tmp_path, "never") as launcher:
        launcher.send_signal(signal.SIGTERM)
        wait_for(lambda: list(tmp_path.glob("told-*")))
        assert launcher.poll() is None
        launcher.send_signal(signal.SIGTERM)
        code, _, err = finished(launcher)
    assert (code, err) == (143, "\ninterrupted; in general like this\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes that their parent has ended")
def test_no_process_outlives_a_killed_launcher(tmp_path):
    with waiting(tmp_path, "when told to stop") as launcher:
        launcher.kill()
        _, _, err = finished(launcher)
    assert err == "told to stop 1 time(s)\n", "the chief saves"
    assert "told to stop" in (tmp_path / "worker-1.log").read_text()


def test_windows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(replicas.sys, "platform", "win32")
    with pytest.raises(UserError, match="--distribute mirrored must run on Linux or macOS, got Windows"):
        replicas.run_replicas([], [{}, {}], tmp_path / "run")
    assert not (tmp_path / "run").exists()
