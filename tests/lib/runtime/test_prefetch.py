"""Preparation of the next item beside the work on this one."""

import threading

import pytest

from lib.runtime.prefetch import Ahead, prefetch


def test_results_come_in_order_and_the_next_one_is_under_way():
    started = [threading.Event() for _ in range(4)]

    def square(number):
        started[number].set()
        return number**2, threading.current_thread()

    for number, (value, thread) in enumerate(prefetch(square, range(4))):
        assert value == number**2
        assert thread is not threading.current_thread()
        if number < 3:
            assert started[number + 1].wait(10)
        if number < 2:
            assert not started[number + 2].is_set()
    assert list(prefetch(square, [])) == []


def test_an_error_comes_at_its_item():
    results = prefetch(lambda number: 1 / number, [2, 1, 0])
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_work_done_ahead_is_done_in_order_by_another_thread():
    ahead, may_start, done = Ahead(), threading.Event(), []
    first = ahead.start(lambda: may_start.wait(10) and done.append(threading.current_thread()))
    second = ahead.start(lambda: 1 / 0)
    third = ahead.start(lambda: len(done))
    assert not first.done()
    may_start.set()
    ahead.wait()
    assert done[0] is not threading.current_thread()
    assert third.result() == 1
    with pytest.raises(ZeroDivisionError):
        second.result()
