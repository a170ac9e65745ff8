"""Jobs in processes: every job done once, errors unchanged, killed processes reported, one thread each."""

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pickle
import signal
import time

import cv2
import pytest
import threadpoolctl

from lib.errors import GivenUp, UserError
from lib.runtime import worker_pool
from lib.runtime.determinism import ONE_THREAD_NO_GPU, use_one_thread
from lib.runtime.worker_pool import run_in_processes, run_jobs


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


def lost(job):
    return f"{job} was lost"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_once(workers):
    assert sorted(run_jobs(range(1, 9), Square, (1,), workers, lost)) == [n * n + 1 for n in range(1, 9)]
    assert list(run_jobs([], Square, (1,), workers, lost)) == []
    assert list(run_jobs([3], Square, (0,), workers, lost)) == [9]
    with pytest.raises(UserError, match="got -1"):
        list(run_jobs([1, -1, 2], Square, (0,), workers, lost))


class Fragile(Exception):
    """An exception whose copy lacks an argument."""

    def __init__(self, kind, reason):
        super().__init__(reason)


def test_an_exception_that_cannot_be_copied_goes_to_the_parent_as_its_text():
    """Otherwise the parent would end with the error of its copy, or take the process for killed."""
    known = UserError("a.jpg: must be b")
    assert worker_pool._portable(known) is known
    for fault in (Fragile("kind", "got 1"), ValueError(lambda: None)):
        sent = pickle.loads(pickle.dumps(worker_pool._portable(fault)))
        assert str(sent) == f"{type(fault).__name__}: {fault}"


class Import:
    """Is told to stop in the import of an extension, which makes another error of whatever is raised in it."""

    def __call__(self, number):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            raise ImportError("cannot be imported") from None


def test_a_process_that_is_told_to_stop_during_an_import_counts_as_killed():
    """As an error of the job, the failed import would end the whole run."""
    with contextlib.closing(run_in_processes([1], Import, (), 1)) as outcomes:
        assert [outcome.killed for outcome in outcomes] == [True]


def test_a_killed_process_is_said_with_what_it_was_doing():
    with pytest.raises(UserError, match="0 was lost"):
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


@pytest.mark.parametrize("hide_gpu", [False, True])
def test_a_process_that_does_the_jobs_itself_uses_as_many_threads_as_a_worker(monkeypatch, hide_gpu):
    for name in ONE_THREAD_NO_GPU:
        monkeypatch.setenv(name, "7")
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", lambda _: None)
    monkeypatch.setattr(cv2, "setNumThreads", lambda _: None)
    use_one_thread(hide_gpu)
    expected = ONE_THREAD_NO_GPU | ({} if hide_gpu else {"CUDA_VISIBLE_DEVICES": "7"})
    assert {name: os.environ[name] for name in expected} == expected


def test_a_killed_process_costs_only_its_job():
    """The jobs that were waiting for it are done by the others, and its own is named."""
    with contextlib.closing(run_in_processes([1, 0, 2, 3, 4, 5], Square, (1,), 2)) as outcomes:
        done = {outcome.job: outcome for outcome in outcomes}
    assert {job for job, outcome in done.items() if outcome.killed} == {0}
    assert {job: outcome.result for job, outcome in done.items() if job} == {n: n * n + 1 for n in range(1, 6)}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_jobs_in_a_row_that_kill_their_processes_do_not_keep_the_others_from_being_done(workers):
    killers = range(3, 11)
    jobs = [Numbered(number, number in killers) for number in range(130)]
    with contextlib.closing(run_in_processes(jobs, Doomed, (), workers)) as outcomes:
        done = {outcome.job.number: outcome.killed for outcome in outcomes}
    assert {number for number, killed in done.items() if killed} == set(killers)
    assert len(done) == 130


@dataclasses.dataclass(frozen=True)
class Numbered:
    """A job that may kill its process."""

    number: int
    kills: bool


class Doomed:
    """Does jobs that may kill it."""

    def __call__(self, job):
        if job.kills:
            os.kill(os.getpid(), signal.SIGKILL)


def test_killers_at_the_end_of_the_list_do_not_end_the_run():
    jobs = [Numbered(number, number > 2) for number in range(7)]
    with contextlib.closing(run_in_processes(jobs, Doomed, (), 1)) as outcomes:
        assert [outcome.job.number for outcome in outcomes] == list(range(7))


def test_a_job_from_elsewhere_that_kills_its_process_as_well_ends_the_run():
    jobs = [Numbered(number, number > 0) for number in range(worker_pool.SET_ASIDE + 50)]
    with contextlib.closing(run_in_processes(jobs, Doomed, (), 1)) as outcomes:
        done = [next(outcomes).job.number for _ in range(5)]
        with pytest.raises(GivenUp, match=r"several killed one after the other \(too little memory\?\)"):
            next(outcomes)
    assert done == [0, 1, 2, 3, 104]


def test_a_replacement_that_cannot_start_costs_no_job(tmp_path, capsys):
    given = []

    def jobs():
        """A killer, then jobs until a third process has tried to start."""
        while len(list(tmp_path.iterdir())) < 3:
            given.append(Numbered(len(given), not given))
            yield given[-1]

    with contextlib.closing(run_in_processes(jobs(), Third, (tmp_path,), 2)) as outcomes:
        done = [outcome.job for outcome in outcomes if not outcome.killed]
    assert sorted(done, key=lambda job: job.number) == given[1:]
    assert capsys.readouterr().err == "a worker process could not start: no memory\n"


class Third(Doomed):
    """Cannot be made a third time."""

    def __init__(self, folder):
        folder.joinpath(f"{os.getpid()}").touch()
        if len(list(folder.iterdir())) == 3:
            raise MemoryError("no memory")

    def __call__(self, job):
        super().__call__(job)
        time.sleep(0.002)  # thousands of jobs would be done before a process has started


@pytest.mark.parametrize(("most", "processes"), [(worker_pool.REPLACED_AFTER - 5, 2), (6_000, 3)])
def test_a_killed_process_is_replaced_once_the_others_have_worked_for_a_while(tmp_path, most, processes):
    def jobs():
        yield tmp_path / "killed"
        for number in range(most):
            if len(list(tmp_path.iterdir())) == 3:
                return
            yield tmp_path / f"{number}"

    with contextlib.closing(run_in_processes(jobs(), Who, (), 2)) as outcomes:
        done = [outcome.result for outcome in outcomes if not outcome.killed]
    assert len(set(done)) == processes - 1
    assert {path.name for path in tmp_path.iterdir()} > set(map(str, done))
    assert len(list(tmp_path.iterdir())) == processes


@pytest.mark.parametrize(("rest", "replaced"), [(2, False), (200, True)])
def test_a_second_replacement_waits_for_twice_the_jobs(tmp_path, rest, replaced):
    """There may be no memory for as many processes: each replacement may cost the job of one that is killed."""

    def jobs():
        yield tmp_path / "killed"
        for number in itertools.count():
            if len(process_files(tmp_path)) == 3:
                break
            yield tmp_path / f"{number}"
        yield tmp_path / "killed too"
        yield from (tmp_path / f"last {number}" for number in range(worker_pool.REPLACED_AFTER + rest))

    with contextlib.closing(run_in_processes(jobs(), Who, (), 2)) as outcomes:
        assert sum(outcome.killed for outcome in outcomes) == 2
    assert len(process_files(tmp_path)) == (4 if replaced else 3)


def process_files(folder):
    """Those that `Who` leaves."""
    return list(folder.iterdir())


class Who:
    """Tells which process it is, and leaves a file of that name; one job kills it, and the others wait for that."""

    def __call__(self, path):
        path.with_name(f"{os.getpid()}").touch()
        if path.name.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        while len(list(path.parent.iterdir())) < 2:
            time.sleep(0.001)
        time.sleep(0.01)
        return os.getpid()


class Late:
    """Works only in the second process that is made: the first is killed before it begins."""

    def __init__(self, killed):
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, number):
        return number


def test_a_process_that_is_killed_before_it_begins_costs_no_job(tmp_path):
    with contextlib.closing(run_in_processes([1, 2, 3], Late, (tmp_path / "killed",), 1)) as outcomes:
        assert sorted((outcome.job, outcome.killed) for outcome in outcomes) == [(1, False), (2, False), (3, False)]


def test_processes_that_are_all_killed_before_they_begin_end_the_run():
    with pytest.raises(UserError, match="must not be killed, got several killed one after the other"):
        list(run_in_processes([1, 2, 3], Stillborn, (), 2))


class Stillborn:
    """Never begins."""

    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_is_given_up_leaves_no_process_behind(tmp_path):
    outcomes = run_in_processes([tmp_path / "a", tmp_path / "b"], Sleeper, (), 2)
    with contextlib.closing(outcomes), pytest.raises(UserError, match="woken"):
        next(outcomes)
    assert not multiprocessing.active_children()
    assert (tmp_path / "b.tidied").exists()


class Sleeper:
    """One job fails as soon as the other is asleep; that one tidies up when it is told to end."""

    def __call__(self, path):
        if path.name == "a":
            while not path.with_name("b.started").exists():
                time.sleep(0.01)
            raise UserError("woken")
        try:
            path.with_name("b.started").touch()
            time.sleep(60)
        finally:
            path.with_name("b.tidied").touch()
