"""Preparation of the next item while the current one is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields function(item) in order, the next one computed in a second thread meanwhile.

    Worth it where `function` spends its time outside of Python, as compiled TensorFlow functions do.

    Raises:
      What `function` raises, at the item it belongs to; what `items` raises, one item earlier.
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
