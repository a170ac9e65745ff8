"""Execution of jobs in separate processes that end with the program."""

import collections
import contextlib
import dataclasses
import itertools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from lib.errors import GivenUp, UserError, one_line
from lib.runtime.determinism import single_threaded_children
from lib.runtime.leaving import leave
from lib.runtime.quiet_tensorflow import quiet_import

WAITING = 2  # jobs sent to each process: one running and one waiting
REPLACED_AFTER = 20  # jobs finished since a process was killed before another one takes its place, the first time
MOST_KILLED = 3  # processes killed in a row, without a finished job in between, before a job from elsewhere is tried
_GIVEN_UP = "worker processes must not be killed, got several killed one after the other (too little memory?)"
SET_ASIDE = 100  # jobs before that one: neighbours in a folder, such as the photos of one camera, are often alike
STOPPING_SECONDS = 5.0  # for a process to clean up when the run ends early

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[Job, Result]):
    """A job with its result; `killed` is true, and `result` None, if the process was killed during the job."""

    job: Job
    result: Result | None
    killed: bool = False


def run_jobs(
    jobs: Iterable[Job],
    make: Callable[..., Callable[[Job], Result]],
    arguments: tuple,
    workers: int,
    lost: Callable[[Job], str],
) -> Iterator[Result]:
    """Yields `make(*arguments)(job)` for every job, in order of completion; few results are in memory at a time.

    Every worker process uses one thread and no GPU; parallelism comes from the number of processes.

    Args:
      jobs: picklable jobs, smaller than a pipe's buffer (64 KiB on Linux).
      make: builds the function that does the work, once in each process; picklable, like its `arguments`.
      workers: number of processes; with one (or with a single job) everything runs in the calling process.
      lost: returns the error message for a process that was killed during a job.

    Raises:
      UserError: a process was killed. Exceptions of a job are raised unchanged.
    """
    waiting = iter(jobs)
    first = list(itertools.islice(waiting, 2))
    if not first:
        return
    waiting = itertools.chain(first, waiting)
    if workers <= 1 or len(first) == 1:
        function = make(*arguments)
        for job in waiting:
            yield function(job)
        return
    with contextlib.closing(run_in_processes(waiting, make, arguments, workers)) as outcomes:
        for outcome in outcomes:
            if outcome.killed:
                raise UserError(lost(outcome.job))
            yield cast(Result, outcome.result)


def run_in_processes(
    jobs: Iterable[Job], make: Callable[..., Callable[[Job], Result]], arguments: tuple, workers: int
) -> Generator[Outcome[Job, Result], None, None]:
    """Like `run_jobs`, always in processes; a killed process costs only the job it was working on.

    The other processes take over its remaining jobs, and all of them if it was killed before it began with the first.
    These do `REPLACED_AFTER` jobs before it is replaced, each time twice as many: most are killed for lack of memory.

    Close the iterator (`contextlib.closing`) to end the processes when not all outcomes are consumed.

    After `MOST_KILLED` in a row, the next `SET_ASIDE` jobs wait until another one is finished.

    Raises:
      GivenUp: that one's process was killed, too, or a process before it began; the outcome of its job comes before.
    """
    waiting = _Waiting(jobs)
    # Passed as bytes: unpickling may import TensorFlow, and each worker would print its start-up messages.
    pickled = pickle.dumps((make, arguments))
    running = [_Worker[Job](pickled) for _ in range(workers)]  # whose errors at the start are everybody's
    killed_in_a_row, finished, replaced_after = 0, 0, REPLACED_AFTER

    try:
        # One job for each process before any gets its second.
        for count, worker in itertools.product(range(1, WAITING + 1), running):
            worker.give(waiting.take(count - len(worker.jobs)))
        while any(worker.jobs for worker in running):
            for worker in _with_news([worker for worker in running if worker.jobs]):
                if (outcome := worker.receive()) is None:
                    continue
                if outcome.killed:
                    killed_in_a_row, finished = killed_in_a_row + 1, 0
                    if waiting.is_probe(outcome.job) or (worker.starting and killed_in_a_row >= MOST_KILLED):
                        if not worker.starting:
                            yield outcome
                        raise GivenUp(_GIVEN_UP)
                    running.remove(worker)
                    worker.stop()
                    worker.join()
                    waiting.put_back([outcome.job, *worker.jobs] if worker.starting else worker.jobs)
                    if killed_in_a_row == MOST_KILLED:
                        waiting.set_aside()
                else:
                    killed_in_a_row, finished = 0, finished + 1
                    waiting.return_aside()
                for other in running:
                    other.give(waiting.take(WAITING - len(other.jobs)))
                missing = len(running) < workers and finished >= replaced_after
                if (missing or not running) and (rest := list(waiting.take(WAITING))):
                    running.append(_Worker(pickled, replacement=True))
                    running[-1].give(rest)
                    finished, replaced_after = 0, replaced_after * (2 if missing else 1)
                if not worker.starting:
                    yield outcome
    finally:
        for worker in running:
            worker.stop()
        for worker in running:
            worker.join()


class _Waiting(Generic[Job]):
    """The jobs that no process has been given."""

    def __init__(self, jobs: Iterable[Job]):
        self._next, self._source = collections.deque[Job](), iter(jobs)
        self._aside: list[Job] = []  # the last one is tried before the others

    def take(self, count: int) -> Iterator[Job]:
        """Yields up to `count` jobs."""
        for _ in range(count):
            if self._next:
                yield self._next.popleft()
            else:
                yield from itertools.islice(self._source, 1)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Takes back jobs of a killed process."""
        self._next.extend(jobs)

    def set_aside(self) -> None:
        """Lets the next jobs wait, but for the last of them."""
        self._aside = [*self._next, *itertools.islice(self._source, SET_ASIDE)]
        self._next = collections.deque(self._aside[-1:])

    def return_aside(self) -> None:
        """Ends the wait."""
        self._next.extendleft(reversed(self._aside[:-1]))
        self._aside = []

    def is_probe(self, job: Job) -> bool:
        """True for the job that is tried while others wait."""
        return len(self._aside) > 1 and job is self._aside[-1]


class _Worker(Generic[Job]):
    """A worker process, seen from its parent.

    Attributes:
      jobs: given to the process and not finished, the one in progress first.
      starting: the process has not begun with its first job.
      connection: readable when `receive` returns at once.
    """

    def __init__(self, pickled: bytes, replacement: bool = False):
        self.jobs: collections.deque[Job] = collections.deque()
        self.starting, self._replacement = True, replacement
        # Start a new interpreter for each worker: a fork would copy TensorFlow's threads in an unusable state.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, pickled), daemon=True)
        with single_threaded_children():
            self._process.start()
        theirs.close()  # so that the connection ends with the process

    def give(self, jobs: Iterable[Job]) -> None:
        """Sends jobs to the process."""
        for job in jobs:
            self.jobs.append(job)
            with contextlib.suppress(OSError):  # the process was killed, which `receive` finds
                self.connection.send(job)

    def receive(self) -> Outcome[Job, Any] | None:
        """Waits for the outcome of the job in progress; None means that the process begins with its first one.

        Raises:
          The exception of the job.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return Outcome(self.jobs.popleft(), None, killed=True)
        if answer is None:
            self.starting = False
            return None
        done, value = answer
        job = self.jobs.popleft()
        if not done:
            error, trace = value
            if self.starting and self._replacement:  # others have begun, so the fault may be the moment's
                print(f"a worker process could not start: {one_line(error)}", file=sys.stderr)
                return Outcome(job, None, killed=True)
            error.add_note(f"in a worker process:\n{trace}")
            raise error
        return Outcome(job, value)

    def stop(self) -> None:
        """Tells the process to end."""
        self.connection.close()
        if self.jobs:
            self._process.terminate()

    def join(self) -> None:
        """Waits for the end of the process after `stop`, and forces it if necessary."""
        self._process.join(STOPPING_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _with_news(workers: list[_Worker[Job]]) -> list[_Worker[Job]]:
    """Waits until some of the processes have finished a job or were killed; returns these."""
    ready = multiprocessing.connection.wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


# In the worker process.

_stopping = threading.Event()  # it was told to


def _serve(connection: Connection, pickled: bytes) -> None:
    """Works on the jobs that arrive, until the parent closes the connection or ends."""
    # The parent handles Ctrl-C and the end of a terminal; a parent that gives up sends SIGTERM.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    function: Callable[[Any], Any] | None = None
    with contextlib.suppress(EOFError, OSError):  # the parent has closed the connection
        while True:
            job = connection.recv()
            try:
                if function is None:  # within the job, so that its errors reach the parent
                    with quiet_import():
                        make, arguments = pickle.loads(pickled)
                    function = make(*arguments)
                    connection.send(None)
                answer: tuple[bool, Any] = (True, function(job))
            except Exception as error:
                if _stopping.is_set():  # an extension that was being imported has made another error of it
                    raise SystemExit(1) from error
                answer = (False, (_portable(error), traceback.format_exc()))
            connection.send(answer)
    leave(0)


def _portable(error: Exception) -> Exception:
    """The exception; one of the same text in place of one that cannot be copied to the parent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _exit(*_: int | FrameType | None) -> None:
    """Signal handler: leaves through `finally` blocks, which remove unfinished files."""
    _stopping.set()
    raise SystemExit(1)


def _die_with_parent() -> None:
    """Ends this process when its parent ends; otherwise workers of a killed program would wait for jobs forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only worker processes call this
    parent.join()
    os._exit(1)
