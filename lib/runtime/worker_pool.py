"""Runs jobs in fresh processes that never outlive the program."""

import itertools
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lib.errors import UserError
from lib.runtime.quiet_tensorflow import import_tensorflow

WAITING = 2  # jobs handed out for each process: one at work and one ready


def run_jobs(
    jobs: Iterable[Any], make: Callable, arguments: tuple, workers: int, lost: Callable[[list], str]
) -> Iterator[Any]:
    """Yields `make(*arguments)(job)` of all jobs, in the order they finish; few results are in memory at a time.

    Args:
      jobs: picklable.
      make: gives each process what does the work; picklable, as its `arguments` are.
      workers: processes; with one (or one job) all is done here.
      lost: the message, should a process be killed, for the jobs that were under way.

    Raises:
      UserError: a process was killed. Exceptions of a job are raised as they are.
    """
    waiting = iter(jobs)
    first = list(itertools.islice(waiting, 2))
    if workers <= 1 or len(first) <= 1:
        work = make(*arguments) if first else None
        for job in itertools.chain(first, waiting):
            yield work(job)
        return
    waiting = itertools.chain(first, waiting)
    # A fresh interpreter for each worker: a fork would copy TensorFlow's threads in an unusable state.
    context = multiprocessing.get_context("spawn")
    # In bytes: unpickled, it may import TensorFlow, whose start-up notes each worker would print.
    with ProcessPoolExecutor(workers, context, _start, (pickle.dumps((make, arguments)),)) as pool:
        running = {pool.submit(_work, job): job for job in itertools.islice(waiting, WAITING * workers)}
        try:
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    del running[future]
                    running |= {pool.submit(_work, job): job for job in itertools.islice(waiting, 1)}
                    yield result
        except BrokenProcessPool as error:
            raise UserError(lost(list(running.values()))) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


# How a worker process makes what does its work, and that once it is made.
_make = _worker = None


def _start(made: bytes) -> None:
    global _make
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _make = made


def _die_with_parent() -> None:
    """Without it the workers of a killed program would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(job: Any) -> Any:
    global _worker
    if _worker is None:  # not at the start of the process, so that errors reach the parent as what they are
        import_tensorflow()
        make, arguments = pickle.loads(_make)
        _worker = make(*arguments)
    return _worker(job)
