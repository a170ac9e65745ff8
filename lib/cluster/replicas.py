"""Processes of one command that compute together on this machine: started, watched and ended as one program."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from lib.cluster.meeting import Cluster
from lib.cluster.ports import free_ports
from lib.errors import UserError
from lib.runtime.interruption import DeferredStop

_LOOK_SECONDS = 0.1
LEAVING_SECONDS = 5.0
_TOLD_TO_STOP = 128 + signal.SIGTERM  # exit code of a process that has saved its work and said so
_PR_SET_PDEATHSIG = 1


def replica_environments(wanted: int | None, gpus: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Variables that tell each process its device: a GPU for each, or nothing on a machine that has none.

    Args:
      wanted: number of processes; None for one on each GPU, or a single one without GPUs.
      gpus: number of GPUs in the environment.
      environment: of this process; its CUDA_VISIBLE_DEVICES, if set, names the GPUs.

    Raises:
      UserError: more processes are wanted than there are GPUs.
    """
    if gpus and wanted and wanted > gpus:
        raise UserError(
            f"--replicas must be at most {gpus}, the number of GPUs that TensorFlow finds, got {wanted} (give fewer, "
            "or hide the GPUs by CUDA_VISIBLE_DEVICES=-1)"
        )
    if not gpus:
        return [{} for _ in range(wanted or 1)]
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else map(str, range(gpus))
    return [{"CUDA_VISIBLE_DEVICES": name.strip()} for name in names][: wanted or gpus]


def run_replicas(
    command: Sequence[str],
    environments: Sequence[Mapping[str, str]],
    folder: Path,
    leaving_seconds: float = LEAVING_SECONDS,
) -> int:
    """Runs a command in one process for each environment, with all of them listed in TF_CONFIG.

    The first one, the chief, has this process's output. A first signal to stop reaches the chief, which ends the others
    once its work is saved. No process outlives this function; on Linux, they also stop if this process is killed.

    Args:
      command: of all processes.
      environments: what each adds to this process's environment.
      folder: created if missing; worker-1.log and so on in it receive what the others write, and are deleted if all
        goes well.
      leaving_seconds: how long a process may take to end after another one.

    Returns:
      The chief's exit code; 128 plus the number of a signal to stop.

    Raises:
      UserError: a process has ended, and the chief cannot report it.
      Interrupted: told to stop before the chief could save anything, or twice.
    """
    if sys.platform == "win32":
        raise UserError("--distribute mirrored must run on Linux or macOS, got Windows (use --distribute multi_worker)")
    folder.mkdir(parents=True, exist_ok=True)
    logs = [folder / f"worker-{index}.log" for index in range(1, len(environments))]
    shown = f"{logs[0]} to {logs[-1].name}" if len(logs) > 1 else str(logs[0])
    print(f"{len(environments)} processes train together; the chief writes here, the others to {shown}", flush=True)
    cluster = Cluster(tuple(f"127.0.0.1:{port}" for port in free_ports(len(environments))), 0)
    processes: list[subprocess.Popen] = []
    with DeferredStop() as stop:
        try:
            for index, environment in enumerate(environments):
                task = {"cluster": {"worker": cluster.addresses}, "task": {"type": "worker", "index": index}}
                variables = {**environment, "TF_CONFIG": json.dumps(task)}
                processes.append(_start(command, variables, logs[index - 1] if index else None))
            code = _watch(processes, cluster, logs, stop, leaving_seconds)
            _wait(processes, leaving_seconds)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
    if code == 0:
        for log in logs:
            log.unlink(missing_ok=True)
    return code


def _start(command: Sequence[str], variables: Mapping[str, str], log: Path | None) -> subprocess.Popen:
    with contextlib.ExitStack() as resources:
        stream = None if log is None else resources.enter_context(open(log, "ab"))
        return subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C reaches this process alone, which tells the chief
            preexec_fn=_linked_to_this_process(),
        )


def _linked_to_this_process() -> Callable[[], None] | None:
    """What a new process does first, so that it is told to stop when this one is killed; None but on Linux."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def link() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # killed before the call
            os._exit(1)

    return link


def _watch(
    processes: Sequence[subprocess.Popen],
    cluster: Cluster,
    logs: Sequence[Path],
    stop: DeferredStop,
    leaving_seconds: float,
) -> int:
    """Waits for the end of the chief; returns the exit code of the program.

    Once all processes have met, the chief notices the end of another one and says how to go on. Before, it would wait
    for that one to come.
    """
    chief, told, deadline = processes[0], False, 0.0
    missing: Collection[int] = range(len(processes))  # those that never answered
    while chief.poll() is None:
        if stop.requested and not told:
            chief.send_signal(signal.SIGTERM)  # which, unlike SIGINT, is silent while Python starts
            told = True
        lost = [index for index, process in enumerate(processes) if index and process.poll()]
        if lost and not deadline:
            deadline = time.monotonic() + leaving_seconds if missing else float("inf")
        if lost and time.monotonic() > deadline:
            raise _lost(cluster.name(lost[0]), processes[lost[0]].returncode, f"see {logs[lost[0] - 1]}")
        missing = cluster.unreachable(missing)
        time.sleep(_LOOK_SECONDS)
    if told and chief.returncode == -signal.SIGTERM:
        raise stop.interruption("")
    if chief.returncode < 0:
        raise _lost(cluster.name(0), chief.returncode, "too little memory?")
    return 128 + stop.interruption("").number if told and chief.returncode == _TOLD_TO_STOP else chief.returncode


def _wait(processes: Sequence[subprocess.Popen], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _lost(name: str, code: int, hint: str) -> UserError:
    ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return UserError(
        f"{name} must train until the end, got {ending} ({hint}; start again, with --restore once there is a "
        "checkpoint)"
    )
