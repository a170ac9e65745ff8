"""Runs of the programs in child processes that can be killed, limited and watched.

The children are forked from a server that has imported TensorFlow's modules but has not started its runtime, which
spares each of them the import's 8 seconds. Everything behind the import is as on the command line.
"""

import ctypes
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak.runs.aims import Aim, aimed, noting_durations, replace
from benchmarks.soak.runs.watches import Watch, watched

# Everything that a child would otherwise import anew. None of these starts a thread or TensorFlow's runtime.
PRELOADED = [
    "main",
    "create_bin",
    "model.training.loop",
    "model.pretraining.loop",
    "model.reconstruction.folder",
    "model.preparation.worker",
    "model.person.reconstruct",
    "model.video.live",
    "model.video.track",
    "model.evaluation.records",
    "model.pretraining.mask_training",
    "benchmarks.soak.damage",
]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
PIPE_SECONDS = 30.0  # for what a child that has ended left in its pipes
_RESUME = {"main": "", "create_bin": "run the same command again"}
_CAPABILITIES_VERSION = 0x20080522


@dataclass(frozen=True)
class Limits:
    """Restrictions on a child process.

    Attributes:
      file_bytes: largest file that it may write; None for no limit.
      override: False takes away root's right to write where permissions forbid it; without effect on other users.
    """

    file_bytes: int | None = None
    override: bool = True


@dataclass(frozen=True)
class Ended:
    """The end of a child process: exit code (negative: the signal that killed it), stdout and stderr, seconds."""

    code: int
    output: str
    errors: str
    seconds: float

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.errors or "Fatal Python error" in self.errors

    @property
    def last_line(self) -> str:
        """The last line of stderr, which holds the error message."""
        lines = self.errors.strip().splitlines()
        return lines[-1] if lines else ""


def server() -> Any:
    """The multiprocessing context whose children come from the server; starts with the first child."""
    os.environ.update(ONE_THREAD)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Child:
    """A run of a program.

    Args:
      program: "main" or "create_bin", or a function "module:name" that is called with `arguments`.
      arguments: the command line.
      folder: working directory; the output is written next to it, to <folder>.out and <folder>.err.
      aim, watch, limits: see there.
      settings: "module:CONSTANT" -> value in place of the program's, e.g. a shorter interval.
      eager: run TensorFlow's functions without compiling them, which takes most of a short run.
      timed: functions, as in Aim, whose calls' durations are noted, see `durations`.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[Any],
        folder: Path,
        aim: Aim | None = None,
        watch: Watch | None = None,
        limits: Limits | None = None,
        settings: Mapping[str, Any] | None = None,
        eager: bool = False,
        timed: Sequence[str] = (),
    ):
        self._logs = [folder.parent / f"{folder.name}.{name}" for name in ("out", "err")]
        limits, outputs = limits or Limits(), self._logs
        self._copying: list[threading.Thread] = []
        if limits.file_bytes is not None:  # the limit is for the program's files, so its output goes through pipes
            outputs = [path.with_name(f"{path.name}.pipe") for path in self._logs]
            for pipe, log in zip(outputs, self._logs, strict=True):
                pipe.unlink(missing_ok=True)
                os.mkfifo(pipe)
                self._copying.append(threading.Thread(target=_copy, args=(pipe, log), daemon=True))
                self._copying[-1].start()
        self.started = time.monotonic()
        self.process = server().Process(
            target=_run,
            args=(program, list(arguments), folder, outputs, aim, watch, limits, settings or {}, eager, list(timed)),
        )
        self.process.start()

    def kill_after(self, seconds: float) -> bool:
        """Sends SIGKILL after a while; returns False if the program had ended by then."""
        self.process.join(seconds)
        if self.process.exitcode is not None:
            return False
        self.process.kill()
        self.process.join()
        return True

    def wait(self, timeout: float = 600.0) -> Ended:
        """Waits for the end. After `timeout` seconds the child is killed, and the exit code is -SIGALRM."""
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
            code = -signal.SIGALRM
        for thread in self._copying:
            thread.join(PIPE_SECONDS)
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in self._logs)
        return Ended(code, out, err, time.monotonic() - self.started)


def _copy(pipe: Path, log: Path) -> None:
    """Copies what a child writes to a named pipe to a file, until the child ends."""
    with open(pipe, "rb", buffering=0) as source, open(log, "wb") as target:
        shutil.copyfileobj(source, target)


def durations(folder: Path) -> dict[str, list[float]]:
    """Function -> the seconds that each of its calls took in a run in which it was `timed`."""
    found: dict[str, list[float]] = {}
    if (path := durations_file(folder)).is_file():
        for line in path.read_text().splitlines():
            name, seconds = line.split()
            found.setdefault(name, []).append(float(seconds))
    return found


def durations_file(folder: Path) -> Path:
    """The file to which a child notes the durations of calls."""
    return folder.parent / f"{folder.name}.durations"


def inside_file(folder: Path) -> Path:
    """The file that exists while the function that an Aim names is running."""
    return folder.parent / f"{folder.name}.inside"


def _run(
    program: str,
    arguments: list,
    folder: Path,
    logs: Sequence[Path],
    aim: Aim | None,
    watch: Watch | None,
    limits: Limits,
    settings: Mapping[str, Any],
    eager: bool,
    timed: Sequence[str],
) -> None:
    """Body of a child."""
    for descriptor, path in zip((1, 2), logs, strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    # The server's stream remembers whether its file could seek, which need not be so here.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 # for the rest of the process
    if eager:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
    for name, value in settings.items():
        replace(name, lambda _, value=value: value)
    if aim is not None:
        replace(aim.function, lambda function: aimed(function, aim, inside_file(folder)))
    for name in timed:
        replace(name, lambda function, name=name: noting_durations(function, name, durations_file(folder)))
    if watch is not None:
        replace(watch.function, lambda function: watched(function, watch))
    _deny(limits)
    if program in _RESUME:
        from configs import flags

        sys.argv = [f"{program}.py", *map(str, arguments)]
        sys.exit(flags.run(importlib.import_module(program).main, _RESUME[program]))
    module, _, name = program.partition(":")
    getattr(importlib.import_module(module), name)(*arguments)


def _deny(limits: Limits) -> None:
    if limits.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, resource.RLIM_INFINITY))
    if not limits.override and os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
        if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
            raise OSError(ctypes.get_errno(), "capset")
