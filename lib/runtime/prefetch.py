"""Computation of the next item in a second thread while the current one is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
