"""Orders to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP end a run with its work saved and advice on how to continue."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# SIGHUP is sent when a terminal closes; Windows has none. A signal that is ignored (nohup) stays ignored.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """The process was told to stop.

    Attributes:
      advice: how to continue, in one line; empty if unknown.
      number: number of the signal.
    """

    def __init__(self, advice: str = "", number: int = signal.SIGINT):
        super().__init__(advice)
        self.advice, self.number = advice, int(number)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Context manager in which orders to stop raise Interrupted."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number=number)

    with _handled(interrupt, _SIGNALS):
        yield


@contextlib.contextmanager
def advised(advice: Callable[[], str]) -> Iterator[None]:
    """Context manager that adds advice to an interruption without any.

    Args:
      advice: called after the interruption; returns how to continue.

    Raises:
      Interrupted: in place of a KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if isinstance(error, Interrupted) and error.advice:
            raise
        raise Interrupted(advice(), error.number if isinstance(error, Interrupted) else signal.SIGINT) from error


class DeferredStop:
    """Context manager that postpones the first order to stop until the work reaches a point where it can be saved.

    Inside it, the first signal only sets `requested`; a second one interrupts at once. Outside the main thread, which
    alone receives signals, it does nothing.

    Args:
      merge_seconds: signals that soon after the first are the same order, which reached the process on several ways.

    Attributes:
      requested: whether the process was told to stop.
      repeated: whether it was told so again, however soon.
    """

    def __init__(self, merge_seconds: float = 0.0) -> None:
        self.requested = self.repeated = False
        self._merge_seconds, self._first = merge_seconds, 0.0
        self._number = int(signal.SIGINT)
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> "DeferredStop":
        self._resources.enter_context(_handled(self._note, _SIGNALS))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._resources.close()

    def interruption(self, advice: str) -> Interrupted:
        """The exception that ends the run after its work was saved."""
        return Interrupted(advice, self._number)

    def _note(self, number: int, _: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._number, self._first = True, number, time.monotonic()
            return
        self.repeated = True
        if time.monotonic() - self._first >= self._merge_seconds:
            raise Interrupted(number=number)


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], numbers: Any) -> Iterator[None]:
    """Installs a handler for the signals that are not ignored, and afterwards the earlier ones again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: earlier for number, earlier in before.items() if earlier not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
