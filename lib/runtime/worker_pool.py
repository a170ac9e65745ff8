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
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, TypeVar, cast

import cv2
import threadpoolctl

from lib.errors import GivenUp, UserError
from lib.runtime.leaving import leave
from lib.runtime.quiet_tensorflow import quiet_import

_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_ONE_THREAD = dict.fromkeys(_THREADS, "1")
# Environment of a process for one of several parts of a job.
ONE_THREAD_NO_GPU = {**_ONE_THREAD, "CUDA_VISIBLE_DEVICES": "-1"}
WAITING = 2  # jobs sent to each process: one running and one waiting
REPLACED_AFTER = 20  # jobs finished since a process was killed before another one takes its place, the first time
MOST_KILLED = 3  # processes killed in a row, without a finished job in between, before all is given up
_GIVEN_UP = (
    f"worker processes must not be killed, got {MOST_KILLED} killed one after the other (too little memory? use fewer "
    "--workers)"
)
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

    Raises:
      GivenUp: `MOST_KILLED` processes in a row were killed; the outcome of the last one's job comes before.
    """
    waiting, source = collections.deque[Job](), iter(jobs)
    # Passed as bytes: unpickling may import TensorFlow, and each worker would print its start-up messages.
    pickled = pickle.dumps((make, arguments))
    running = [_Worker[Job](pickled) for _ in range(workers)]
    killed_in_a_row, finished, replaced_after = 0, 0, REPLACED_AFTER

    def next_jobs(count: int) -> Iterator[Job]:
        for _ in range(count):
            if waiting:
                yield waiting.popleft()
            else:
                yield from itertools.islice(source, 1)

    try:
        # One job for each process before any gets its second.
        for count, worker in itertools.product(range(1, WAITING + 1), running):
            worker.give(next_jobs(count - len(worker.jobs)))
        while any(worker.jobs for worker in running):
            for worker in _with_news([worker for worker in running if worker.jobs]):
                if (outcome := worker.receive()) is None:
                    continue
                if outcome.killed:
                    killed_in_a_row, finished = killed_in_a_row + 1, 0
                    if killed_in_a_row == MOST_KILLED:
                        if not worker.starting:
                            yield outcome
                        raise GivenUp(_GIVEN_UP)
                    running.remove(worker)
                    waiting.extend([outcome.job, *worker.jobs] if worker.starting else worker.jobs)
                    worker.stop()
                    worker.join()
                else:
                    killed_in_a_row, finished = 0, finished + 1
                for other in running:
                    other.give(next_jobs(WAITING - len(other.jobs)))
                missing = len(running) < workers and finished >= replaced_after
                if (missing or not running) and (rest := list(next_jobs(WAITING))):
                    running.append(_Worker(pickled))
                    running[-1].give(rest)
                    finished, replaced_after = 0, replaced_after * (2 if missing else 1)
                if not worker.starting:
                    yield outcome
    finally:
        for worker in running:
            worker.stop()
        for worker in running:
            worker.join()


class _Worker(Generic[Job]):
    """A worker process, seen from its parent.

    Attributes:
      jobs: given to the process and not finished, the one in progress first.
      starting: the process has not begun with its first job.
      connection: readable when `receive` returns at once.
    """

    def __init__(self, pickled: bytes):
        self.jobs: collections.deque[Job] = collections.deque()
        self.starting = True
        # Start a new interpreter for each worker: a fork would copy TensorFlow's threads in an unusable state.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, pickled), daemon=True)
        with _single_threaded_children():
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
        self.starting = False
        if answer is None:
            return None
        done, value = answer
        job = self.jobs.popleft()
        if not done:
            error, trace = value
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


@contextlib.contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Limits processes started in the block to one thread each and hides GPUs from them.

    Uses environment variables, because numerical libraries read them on import, before any of our code runs.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD_NO_GPU}
    os.environ.update(ONE_THREAD_NO_GPU)
    try:
        yield
    finally:
        for name in before:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def use_one_thread(hide_gpu: bool = False) -> None:
    """Limits this process to one thread, also without a GPU, as workers are; call it before TensorFlow is imported.

    Sums over threads and on a GPU are rounded differently: without either, this process gets the results of a worker.
    """
    os.environ.update(ONE_THREAD_NO_GPU if hide_gpu else _ONE_THREAD)
    threadpoolctl.threadpool_limits(1)  # BLAS, which may already be loaded
    cv2.setNumThreads(1)  # no environment variable limits OpenCV's threads


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
