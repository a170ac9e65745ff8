"""Jobs run in fresh processes that never outlive the program."""

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

WAITING = 2  # jobs handed out for each process: one at work and one ready

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    jobs: Iterable[Job],
    make: Callable[..., Callable[[Job], Result]],
    arguments: tuple,
    workers: int,
    lost: Callable[[list[Job]], str],
) -> Iterator[Result]:
    """Yields `make(*arguments)(job)` for every job, in the order they finish; few results are in memory at a time.

    Every worker process computes on one thread and without a graphics card: the processes are the parallelism.

    Args:
      jobs: picklable.
      make: builds the function that does the work, once in each process; picklable, as its `arguments` are.
      workers: number of processes; with one (or with a single job) everything runs in the calling process.
      lost: the error message if a process is killed, given the jobs that were under way.

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
    # A fresh interpreter for each worker: a fork would copy TensorFlow's threads in an unusable state.
    context = multiprocessing.get_context("spawn")
    # As bytes: unpickling may import TensorFlow, whose start-up notes each worker would print.
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
            # Before the pool's own end, which would finish all jobs that were handed out.
            pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future:
    """Hands out a job. The pool starts its processes here, and they inherit the environment of this moment."""
    with _single_threaded_children():
        return pool.submit(_work, job)


@contextlib.contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Limits processes started inside to one thread each and hides graphics cards from them.

    By the environment, because numerical libraries read it when they are loaded, before any code of ours runs.
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


# Of a worker process: the pickled (make, arguments), and the function made from them at its first job.
_pickled = b""
_function: Callable | None = None


def _start(pickled: bytes) -> None:
    """Prepares a worker process."""
    global _pickled
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, in one line
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _pickled = pickled


def _die_with_parent() -> None:
    """Ends this process with its parent; otherwise the workers of a killed program would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only worker processes come here
    parent.join()
    os._exit(1)


def _work(job: Job) -> object:
    global _function
    if _function is None:  # not in `_start`, whose errors would reach the parent as a broken pool
        import_tensorflow()
        make, arguments = pickle.loads(_pickled)
        _function = make(*arguments)
    return _function(job)
