"""Orders to stop: signals become exceptions with advice, at once or at the next moment at which work can be saved."""

import os
import signal
import threading
import time

import pytest

from configs import flags
from lib.runtime.interruption import DeferredStop, Interrupted, advised, signals_interrupt

pytestmark = pytest.mark.usefixtures("signals_are_heard")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_is_one_line_with_advice_and_an_exit_code(name, code, capsys):
    number = getattr(signal, name)
    before = signal.getsignal(number)

    def program():
        with advised(lambda: "the same command goes on"):
            os.kill(os.getpid(), number)

    assert flags.run(program, "in general like this") == code
    assert capsys.readouterr().err == "\ninterrupted; the same command goes on\n"
    assert signal.getsignal(number) == before


def test_general_advice_is_given_where_there_is_none_of_the_moment(capsys):
    assert flags.run(lambda: os.kill(os.getpid(), signal.SIGTERM), "in general like this") == 143
    assert capsys.readouterr().err == "\ninterrupted; in general like this\n"


def test_advice_of_the_moment_is_kept():
    with pytest.raises(Interrupted) as caught, advised(lambda: "outer"), advised(lambda: "inner"):
        raise KeyboardInterrupt
    assert caught.value.advice == "inner"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_and_the_second_does_not(number):
    with signals_interrupt(), DeferredStop() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.interruption("saved").number == number
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)


def test_a_signal_that_comes_twice_at_once_is_one_order():
    """As one does that is sent to a group of processes, and passed on by one of them."""
    with signals_interrupt(), DeferredStop(merge_seconds=3600) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert not stop.repeated
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        assert stop.repeated


def test_a_signal_that_comes_again_later_is_another_order():
    with signals_interrupt(), DeferredStop(merge_seconds=0.02):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.02)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_earlier_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with DeferredStop() as stop:
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert not stop.requested
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_ignored_signal_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt(), DeferredStop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_left_alone():
    found = []

    def work():
        with DeferredStop() as stop:
            found.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
