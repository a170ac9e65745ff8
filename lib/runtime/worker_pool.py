"""Execution of jobs in separate processes that end with the program."""

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from lib.errors import UserError
from lib.runtime.quiet_tensorflow import import_tensorflow

WAITING = 2  # jobs submitted per process: one running and one waiting

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    jobs: Iterable[Job],
    make: Callable[..., Callable[[Job], Result]],
    arguments: tuple,
    workers: int,
    lost: Callable[[list[Job]], str],
) -> Iterator[Result]:
    """Yields `make(*arguments)(job)` for every job, in order of completion; few results are in memory at a time.

    Every worker process uses one thread and no GPU; parallelism comes from the number of processes.

    Args:
      jobs: picklable jobs.
      make: builds the function that does the work, once in each process; picklable, like its `arguments`.
      workers: number of processes; with one (or with a single job) everything runs in the calling process.
      lost: returns the error message for a killed process, given the jobs in progress.

    Raises:
      UserError: a process was killed. Exceptions of a job are raised unchanged.
    """
    waiting = iter(jobs)
    first = list(itertools.islice(waiting, 2))
    if not first:
        return
    if workers <= 1 or len(first) == 1:
        function = make(*arguments)
        for job in itertools.chain(first, waiting):
            yield function(job)
        return
    waiting = itertools.chain(first, waiting)
    # Start a new interpreter for each worker: a fork would copy TensorFlow's threads in an unusable state.
    context = multiprocessing.get_context("spawn")
    # Passed as bytes: unpickling may import TensorFlow, and each worker would print its start-up messages.
    with ProcessPoolExecutor(workers, context, _start, (pickle.dumps((make, arguments)),)) as pool:
        running = {_submit(pool, job): job for job in itertools.islice(waiting, WAITING * workers)}
        try:
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    del running[future]
                    running |= {_submit(pool, job): job for job in itertools.islice(waiting, 1)}
                    yield result
        except BrokenProcessPool as error:
            raise UserError(lost(list(running.values()))) from error
        finally:
            # Must run before the pool's shutdown, which would finish all submitted jobs.
            pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future:
    """Submits a job. The pool starts its processes here, and they inherit the current environment."""
    with _single_threaded_children():
        return pool.submit(_work, job)


@contextlib.contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Limits processes started in the block to one thread each and hides GPUs from them.

    Uses environment variables, because numerical libraries read them on import, before any of our code runs.
    """
    threads = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    wanted = {**dict.fromkeys(threads, "1"), "CUDA_VISIBLE_DEVICES": "-1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# State of a worker process: the pickled (make, arguments), and the function built from them at the first job.
_pickled = b""
_function: Callable | None = None


def _start(pickled: bytes) -> None:
    """Prepares a worker process."""
    global _pickled
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _pickled = pickled


def _die_with_parent() -> None:
    """Ends this process when its parent ends; otherwise workers of a killed program would wait for jobs forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only worker processes call this
    parent.join()
    os._exit(1)


def _work(job: Job) -> object:
    global _function
    if _function is None:  # not in `_start`, whose errors would reach the parent as a broken pool
        import_tensorflow()
        make, arguments = pickle.loads(_pickled)
        _function = make(*arguments)
    return _function(job)
