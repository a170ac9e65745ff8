"""However the work on a folder ends, the finished photos are reported."""

import errno
from pathlib import Path

import pytest

from lib.errors import DiskFull, UserError
from lib.runtime.interruption import Interrupted
from model.reconstruction.result_folder import ResultFolder


class Folder(ResultFolder):
    """Only the bookkeeping: counts the reports that are written."""

    def __init__(self, done: int, failed: int, fault: Exception | None = None):
        self.source, self.output, self.written, self.fault = Path("in"), Path("out"), 0, fault
        self.metrics = {f"{i}.jpg": {} for i in range(done)}
        self.failed = {f"bad{i}.jpg": "no face found" for i in range(failed)}
        self._places = {name: (number, 0) for number, name in enumerate((*self.metrics, *self.failed))}

    def _write(self, seconds: float | None = None) -> None:
        self.written += 1
        if self.fault is not None:
            raise self.fault


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted(number=15)])
def test_an_interrupted_run_reports_what_is_done(stop):
    results = Folder(2, 1)
    with pytest.raises(Interrupted) as caught, results.reported_at_the_end(9):
        raise stop
    assert results.written == 1
    assert caught.value.number == getattr(stop, "number", 2)
    assert caught.value.advice.startswith("the results of 3 of 9 photos are in out; ")


def test_an_interrupted_run_counts_photos_and_not_their_faces():
    results = Folder(3, 1)
    results._places = {"0.jpg": (0, 0), "1.jpg": (0, 1), "2.jpg": (0, 2), "bad0.jpg": (1, 0)}
    with pytest.raises(Interrupted, match="the results of 2 of 9 photos"), results.reported_at_the_end(9):
        raise KeyboardInterrupt


def test_an_interrupted_run_without_results_writes_nothing():
    results = Folder(0, 0)
    with pytest.raises(Interrupted), results.reported_at_the_end(9):
        raise KeyboardInterrupt
    assert results.written == 0


@pytest.mark.parametrize("fault", [DiskFull("a: must fit"), OSError(errno.ENOSPC, "full"), AttributeError("bug")])
def test_the_fault_that_ends_a_run_is_not_hidden_by_that_of_its_report(fault):
    results = Folder(2, 0, DiskFull("the page: must fit"))
    with pytest.raises(type(fault)) as caught, results.reported_at_the_end(9):
        raise fault
    assert caught.value is fault
    assert results.written == 1


def test_a_complete_run_is_reported_once_and_fails_if_all_photos_did():
    results = Folder(1, 1)
    with results.reported_at_the_end(2):
        pass
    assert results.written == 1
    results = Folder(0, 2)
    with pytest.raises(UserError, match="at least one photo must show a face"), results.reported_at_the_end(2):
        pass
    assert results.written == 1


def test_the_page_is_written_though_the_table_cannot_be_printed(tmp_path, monkeypatch):
    def closed(*_):
        raise BrokenPipeError

    results = ResultFolder(tmp_path / "in", tmp_path, {"mesh": {}, "camera": {}})
    results.fail("a.png", "no face found")
    monkeypatch.setattr("builtins.print", closed)
    with pytest.raises(UserError, match=rf"standard output .* closed \(all results are in {tmp_path}\)"):
        results.finish()
    assert "no face found" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_run_without_a_page_leaves_none_of_an_earlier_run(tmp_path):
    (tmp_path / "index.html").touch()
    results = ResultFolder(tmp_path / "in", tmp_path)
    results.fail("a.png", "the process that worked on it was killed")
    with pytest.raises(UserError, match=r"a\.png: the process that worked on it was killed"):
        results.finish()
    assert not (tmp_path / "index.html").exists()
