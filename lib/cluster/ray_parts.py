"""A job divided into parts that run as tasks of Ray: lost ones are tried again, a signal to stop ends all."""

import collections
import contextlib
import dataclasses
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lib.cluster.part_task import run_part
from lib.cluster.ray_session import LOCAL, ray_session
from lib.errors import InUse, UserError
from lib.files.shards import Shard
from lib.runtime.determinism import ONE_THREAD_NO_GPU
from lib.runtime.interruption import advised

ATTEMPTS = 3  # at a part, before it is given up
MOST_PARTS = 1000
_LISTED = 5  # parts given up that a message names
_LOOK_SECONDS = 1.0
_NODE_SECONDS = 60.0  # for a machine to answer: it starts a process first
_STOPPING_SECONDS = 5.0  # for tasks to remove unfinished files


@dataclasses.dataclass(frozen=True)
class Job:
    """A command to divide.

    Attributes:
      program: module with the function main; its file has the same name.
      arguments: the command line without --cluster.
      photos: number of photos or crops.
      photos_per_part: at most so many in a part, up to `MOST_PARTS` parts.
      paths: files and folders that all machines must see.
      code: folder of the program, which all machines must also see.
    """

    program: str
    arguments: Sequence[str]
    photos: int
    photos_per_part: int
    paths: Sequence[Path]
    code: Path

    @property
    def count(self) -> int:
        """Number of parts. It does not depend on the processors, so that a repeated command finds finished parts."""
        return min(max(-(-self.photos // self.photos_per_part), 1), MOST_PARTS)

    def command(self, shard: Shard) -> str:
        """The command that runs a part by hand."""
        return shlex.join(["python", f"{self.program}.py", *self.arguments, "--shard", str(shard)])


def run_parts(address: str, cpus: int, job: Job) -> int:
    """Runs all parts of a job on Ray; returns their number once all are done.

    Args:
      address: see `ray_session`.
      cpus: number of parts at a time on this machine, for `local`.
      job: what to run.

    Raises:
      UserError: there is no Ray, a machine lacks a folder, the program refuses the command, the disk is full, or a part
        failed each time.
      Interrupted: told to stop; finished parts stay.
    """
    search = [str(job.code), *filter(None, [os.environ.get("PYTHONPATH")])]
    with ray_session(address, cpus, {**ONE_THREAD_NO_GPU, "PYTHONPATH": os.pathsep.join(search)}) as ray:
        if address != LOCAL:
            check_paths(ray, [Path.cwd(), job.code, *job.paths])
        run = _Run(ray, job)
        with advised(run.advice):
            run.finish_all()
    return job.count


def check_paths(ray: Any, paths: Sequence[Path]) -> None:
    """Raises UserError if one of the machines that can run tasks does not see a path."""

    def missing(wanted: list[str]) -> list[str]:  # sent by value: a machine may lack the program's code
        return [path for path in wanted if not os.path.exists(path)]

    placement = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    task = ray.remote(num_cpus=0, max_retries=0)(missing)
    wanted = [str(path.absolute()) for path in paths]
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise UserError("--cluster: Ray must have a machine with processors, got none")
    strategies = [placement(node["NodeID"], soft=False) for node in nodes]
    answers = [task.options(scheduling_strategy=strategy).remote(wanted) for strategy in strategies]
    for node, answer in zip(nodes, answers, strict=True):
        name = node["NodeManagerHostname"]
        try:
            lacking = ray.get(answer, timeout=_NODE_SECONDS)
        except ray.exceptions.RayError as error:
            raise UserError(f"{name}: must run tasks of the cluster, got {_reason(ray, error)}") from error
        if lacking:
            raise UserError(f"{lacking[0]}: must be the same folder on all machines of the cluster, got none on {name}")


class _Run:
    """The parts of a job: those that run or wait, and those that were given up."""

    def __init__(self, ray: Any, job: Job):
        self._ray, self._job = ray, job
        # A process runs one part, as if it had been started by hand; repetition is counted here.
        self._task = ray.remote(num_cpus=1, max_calls=1, max_retries=0)(run_part)
        self._shards = [Shard(index, job.count) for index in range(job.count)]
        self._running: dict[Any, Shard] = {}  # by Ray's reference
        self._held: list[Shard] = []  # by other runs, at the last attempt; tried again once no part runs
        self._failures: collections.Counter[Shard] = collections.Counter()
        self._given_up: dict[Shard, Exception] = {}
        self._done = 0

    def advice(self) -> str:
        """How to go on after an interruption."""
        return f"{self._done} of {len(self._shards)} parts are finished and stay; the same command does the others"

    def finish_all(self) -> None:
        """Runs the parts; raises UserError if one cannot be done, after all others."""
        photos = range(self._job.photos)
        try:
            for shard in self._shards:
                self._start(shard)
            with tqdm(total=len(photos), desc="cluster", unit="image", dynamic_ncols=True) as bar:
                while self._running or self._held:
                    if not self._running:
                        self._start_held()
                    for reference in self._ray.wait(list(self._running), timeout=_LOOK_SECONDS)[0]:
                        shard = self._running.pop(reference)
                        if self._ended_well(shard, reference):
                            self._done += 1
                            bar.update(len(shard.part(photos)))
        finally:
            self._cancel()
        if self._given_up:
            raise self._failure()

    def _start(self, shard: Shard) -> None:
        # The last word on the number of processes: a task has one processor.
        arguments = [*self._job.arguments, "data.workers=1", "--shard", str(shard)]
        self._running[self._task.remote(self._job.program, arguments, os.getcwd())] = shard

    def _start_held(self) -> None:
        held, self._held = self._held, []
        for shard in held:
            self._start(shard)

    def _ended_well(self, shard: Shard, reference: Any) -> bool:
        """Whether a part is done; starts it again if it is not, at once or, if another run holds it, later."""
        try:
            refusal = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failures[shard] += 1
            if self._failures[shard] >= ATTEMPTS:
                self._given_up[shard] = error
            elif isinstance(_cause(error), InUse):
                self._held.append(shard)
            else:
                self._start(shard)
            return False
        if refusal:
            raise UserError(f"shard {shard}: {refusal}")
        return True

    def _cancel(self) -> None:
        """Ends the tasks that are left: first in a way in which they clean up."""
        for force in (False, True):
            for reference in self._running:
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._ray.cancel(reference, force=force)
            if self._running:
                left = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=_STOPPING_SECONDS)[1]
                self._running = {reference: self._running[reference] for reference in left}

    def _failure(self) -> UserError:
        errors = self._given_up
        listed = [f"{self._job.command(shard)} ({_reason(self._ray, error)})" for shard, error in errors.items()]
        advice = "run these by hand, then the same command again"
        if all(isinstance(_cause(error), InUse) for error in errors.values()):
            advice = "repeat the command when the runs that hold them have ended"
        more = f"; and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
        return UserError(
            f"all {len(self._shards)} parts must be done, got {len(listed)} that failed {ATTEMPTS} times: "
            f"{'; '.join(listed[:_LISTED])}{more}; {advice}"
        )


def _reason(ray: Any, error: Exception) -> str:
    """Why a task was lost, in a few words."""
    kinds = ray.exceptions
    if isinstance(error, kinds.OutOfMemoryError):
        return "too little memory"
    if isinstance(error, kinds.WorkerCrashedError):
        return "its process was killed: too little memory?"
    if isinstance(error, kinds.NodeDiedError):
        return "its machine was lost"
    cause = _cause(error)
    if isinstance(cause, InUse):
        return str(cause)
    return f"{type(cause).__name__}: {next(iter(str(cause).strip().splitlines()), '')}"


def _cause(error: Exception) -> Exception:
    """What a task has raised, without Ray's envelope."""
    return getattr(error, "cause", None) or error
