"""What the soak compares, measures and limits in its children."""

import sys
import time

import numpy as np
import pytest

from benchmarks.soak import endurance
from benchmarks.soak.runs.child import Child, Limits, durations
from benchmarks.soak.runs.watches import Watch
from benchmarks.soak.world import differing, digests


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.json", '[{"seconds": %d, "psnr": %d}]'),
        ("m.csv", "photo,seconds,psnr\na.jpg,%d,%d\n"),
        ("m.html", "<p><b>%d.25 s</b>, %d dB</p>"),
    ],
)
def test_times_do_not_count_as_a_difference(tmp_path, name, content):
    found = {}
    for folder, numbers in {"a": (1, 20), "b": (3, 20), "c": (1, 21)}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content % numbers)
        found[folder] = digests(tmp_path / folder, ("*",))
    assert differing(found["a"], found["b"]) == []
    assert differing(found["a"], found["c"]) == [name]
    assert differing(found["a"], {}) == [name]


def test_growth_of_a_long_run_is_noticed():
    calls = np.arange(1, 31) * 100.0
    resident, spare = np.full(30, 9e8), np.full(30, 3e7)
    rows = np.stack([calls, calls * 0.1, resident, spare, np.full(30, 40), np.full(30, 0.02)], axis=1)
    assert endurance.flat(rows)[1] == ""
    growths = (
        (1, calls**3 * 1e-7, "slows"),
        (2, calls * 6e3, "memory in use"),
        (3, calls * -6e3, "memory in use"),
        (4, calls / 100, "descr"),
    )
    for column, growth, fault in growths:
        grown = rows.copy()
        grown[:, column] += growth
        assert fault in endurance.flat(grown)[1]
    assert endurance.flat(rows[:5])[1]
    rows[20:, 2:4] += 3e7
    figures, faults = endurance.flat(rows)
    assert (faults, figures["kb_per_call"]) == ("", 0), "freed blocks that the C library keeps are not in use"
    rows[20:, 2:4] += 6e7
    assert endurance.flat(rows)[1] == "resident memory grows"
    rows[20:, 2:4] -= 9e7
    rows[:, 2] += calls * 2e3  # what is kept for the page
    rows[19:, 2] += 5e6
    figures, faults = endurance.flat(rows)
    assert (faults, figures["kb_per_call"]) == ("", pytest.approx(2, abs=0.1)), "a single step is no growth by call"


def test_a_busy_computer_does_not_look_like_a_run_that_slows_down():
    busy = np.where(np.arange(30) < 20, 1.0, 2.0)
    memory = [np.full(30, 9e8), np.zeros(30)]
    rows = np.stack([np.arange(1, 31.0), busy.cumsum(), *memory, np.full(30, 40), 0.02 * busy], axis=1)
    figures, faults = endurance.flat(rows)
    assert faults == ""
    assert figures["seconds_per_call"] == [1.0, 2.0]
    assert figures["slowdown"] == pytest.approx(1.0, abs=0.05)


def work(seconds: float) -> None:
    """Stands for a function of the program."""
    time.sleep(seconds)


def work_twice() -> None:
    """Body of a child: calls a function whose durations and memory are noted."""
    from tests.benchmarks.soak import test_measurements

    for seconds in (0.0, 0.2):
        test_measurements.work(seconds)


def test_a_child_notes_durations_and_memory(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    module = "tests.benchmarks.soak.test_measurements"
    watch = Watch(f"{module}:work", 1, tmp_path / "notes")
    begun = time.monotonic()
    ended = Child(f"{module}:work_twice", (), folder, watch=watch, timed=[f"{module}:work"]).wait()
    whole = time.monotonic() - begun
    assert ended.code == 0, ended.errors[-2000:]
    first, second = durations(folder)[f"{module}:work"]
    assert first >= 0
    assert second >= 0.2
    assert first + second <= whole
    rows = endurance.measured(tmp_path / "notes")
    assert rows[:, 0].tolist() == [1, 2]
    assert (rows[:, 2] > rows[:, 3]).all(), "freed blocks are part of the resident memory"
    assert (rows[:, 4] > 2).all()


def talk_and_write(folder: str) -> None:
    """Body of a child: prints more than it may write to a file."""
    print("said " * 1000)
    print("warned " * 1000, file=sys.stderr)
    with open(f"{folder}/whole", "wb", buffering=0) as stream:
        stream.write(bytes(2000))


def test_the_limit_for_files_is_not_one_for_messages(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    child = Child(
        "tests.benchmarks.soak.test_measurements:talk_and_write", (str(folder),), folder, limits=Limits(file_bytes=1000)
    )
    ended = child.wait()
    assert ended.code == 0, ended.errors[-2000:]
    assert (folder / "whole").stat().st_size == 1000
    assert (ended.output.count("said"), ended.errors.count("warned")) == (1000, 1000)
