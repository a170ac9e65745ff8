"""Work in a second thread: the next item while the current one is in use, or what will be needed later."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields function(item) in order, while a second thread computes the next result.

    This helps if `function` spends its time outside Python, such as in compiled TensorFlow functions.

    Raises:
      Any exception of `function`, at its item; any exception of `items`, one item earlier.
    """
    with ThreadPoolExecutor(1) as thread:
        pending = None
        for item in items:
            following = thread.submit(function, item)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


class Ahead:
    """Work that is needed later, done in order by a second thread.

    This helps if both threads spend much of their time outside Python.
    """

    def __init__(self) -> None:
        self._thread, self._started = ThreadPoolExecutor(1), list[Future]()

    def start(self, work: Callable[[], Result]) -> "Future[Result]":
        """Starts work without arguments; the future holds its result or its exception."""
        future = self._thread.submit(work)
        self._started.append(future)
        return future

    def wait(self) -> None:
        """Waits until everything is done; exceptions stay in their futures."""
        wait(self._started)
        self._started.clear()
