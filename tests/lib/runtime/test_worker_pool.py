"""Jobs in processes: every job done once, errors unchanged, killed processes reported, one thread each."""

import os
import signal

import pytest

from lib.errors import UserError
from lib.runtime.worker_pool import run_jobs


class Square:
    """Squares numbers; a negative one is an error, zero kills the process."""

    def __init__(self, offset):
        self.offset = offset

    def __call__(self, number):
        if number < 0:
            raise UserError(f"got {number}")
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number + self.offset


def lost(jobs):
    return f"one of {sorted(jobs)} was lost"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_once(workers):
    assert sorted(run_jobs(range(1, 9), Square, (1,), workers, lost)) == [n * n + 1 for n in range(1, 9)]
    assert list(run_jobs([], Square, (1,), workers, lost)) == []
    assert list(run_jobs([3], Square, (0,), workers, lost)) == [9]
    with pytest.raises(UserError, match="got -1"):
        list(run_jobs([1, -1, 2], Square, (0,), workers, lost))


def test_a_killed_process_is_said_with_what_it_was_doing():
    with pytest.raises(UserError, match=r"one of \[.*0.*\] was lost"):
        list(run_jobs([0, 1, 2, 3], Square, (0,), 2, lost))


class Environment:
    """Returns variables of the worker's environment, after a Ctrl-C that reached the worker, too."""

    def __call__(self, name):
        os.kill(os.getpid(), signal.SIGINT)
        return os.environ.get(name)


def test_workers_use_one_thread_and_leave_the_interruption_to_the_parent(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    found = []
    for value in run_jobs(["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"] * 3, Environment, (), 2, lost):
        found.append(value)
        assert os.environ["OMP_NUM_THREADS"] == "7", "the parent's own environment is not touched"
        assert "NUMBA_NUM_THREADS" not in os.environ
    assert found == ["1"] * 6
