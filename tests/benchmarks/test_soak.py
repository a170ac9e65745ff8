"""The soak counts a loss as a loss: what its judges accept, what they do not, and what reaches the page."""

import dataclasses
import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.soak import damage, endurance, hardship, kills, report
from benchmarks.soak.__main__ import main
from benchmarks.soak.attempts import LOST, SURVIVED, Journal, Scenario, lost, next_attempt, survived
from benchmarks.soak.child import Child, Ended, Limits
from benchmarks.soak.kills import Killable, KillScenario
from benchmarks.soak.readers.kinds import MADE, OPEN, USERS, Reader
from benchmarks.soak.work import soak
from benchmarks.soak.world import differing, digests
from configs import schema
from lib.errors import UserError

ABOUT = {"seed": 0, "commit": "abc", "code": "one"}


def scenario(run, name="trial", attempts=4) -> Scenario:
    return Scenario(name, f"a {name}", "it must hold", attempts, run)


def test_losses_reach_file_and_page_and_a_fault_of_the_soak_is_one(tmp_path):
    def run(index, generator):
        if index == 2:
            raise ZeroDivisionError("the soak's own")
        return lost("bytes are missing") if index == 1 else survived("whole")

    trial = scenario(run)
    journal = Journal(tmp_path / "journal.jsonl", ABOUT)
    soak([trial], journal, None)
    content = report.summary([trial], journal)
    report.write(content, [trial], tmp_path / "soak.json", tmp_path / "page.md")
    numbers = content["scenarios"]["trial"]
    assert (numbers["attempts"], numbers["survived"], numbers["lost"]) == (4, 2, 2)
    page = (tmp_path / "page.md").read_text()
    assert "| a trial | 4 | 2 | 2 |" in page
    assert "trial, attempt 1: bytes are missing" in page
    assert "trial, attempt 2: ZeroDivisionError: the soak's own" in page


def test_the_page_names_a_reason_in_one_line_without_the_soaks_folder(tmp_path):
    reasons = [f"{tmp_path}/a.bin:\n  torn " + "x" * 1000, "png: exit code 1: ^^\n  File f\nValueError: torn\n more"]
    trial = scenario(lambda index, _: lost(reasons[index]), attempts=2)
    journal = Journal(tmp_path / "journal.jsonl", ABOUT)
    soak([trial], journal, None)
    long, error = report.summary([trial], journal)["scenarios"]["trial"]["losses"]
    assert long.startswith("attempt 0: a.bin: torn xxx")
    assert len(long) < 230
    assert error == "attempt 1: png: exit code 1: ValueError: torn"


def test_a_soak_goes_on_where_it_stopped_and_spreads_its_time(tmp_path):
    made = []

    def run(index, generator):
        made.append((index, int(generator.integers(1000))))
        if len(made) == 3:
            raise KeyboardInterrupt
        return survived()

    two = [scenario(run, "one", 2), scenario(run, "two", 4)]
    about = ABOUT
    with pytest.raises(KeyboardInterrupt):
        soak(two, Journal(tmp_path / "j", about), None)
    soak(two, Journal(tmp_path / "j", about), None)
    assert [index for index, _ in made] == [0, 0, 1, 1, 1, 2, 3]
    assert made[2] == made[3], "the same attempt again"
    soak(two, Journal(tmp_path / "j", about), None)
    assert len(made) == 7
    soak(two, Journal(tmp_path / "j", about | {"seed": 1}), 0.0)
    assert len(made) == 7, "the time is over"


def test_processes_that_share_a_journal_make_every_attempt_once(tmp_path):
    about = ABOUT
    first, second = (Journal(tmp_path / "j", about) for _ in range(2))
    pair, batch = scenario(lambda *_: survived(), "pair", 2), scenario(lambda *_: survived(), "batch", 2)
    batch = dataclasses.replace(batch, alone=True)
    claimed = [next_attempt([pair], first), next_attempt([pair], second)]
    assert [index for _, index in claimed] == [0, 1]
    assert next_attempt([pair], Journal(tmp_path / "j", about)) is None, "both are being made"
    first.add("pair", 0, survived(), 1.0)
    assert next_attempt([batch], first) is not None
    second.add("pair", 1, survived(), 1.0)
    assert next_attempt([pair, batch], second) is None, "one process makes all of a batch"
    assert second.done("pair") == {0, 1}
    first.add("batch", 0, survived(), 1.0)
    assert next_attempt([batch], second) == (batch, 1)


def test_a_soak_of_two_processes_tries_what_one_would(tmp_path):
    arguments = ["--folder", str(tmp_path / "soak"), "--page", str(tmp_path / "page.md"), "--only", "atheris"]
    with pytest.raises(SystemExit):
        main([*arguments, "--jobs", "0"])
    # As a program: a process of its own finds the function of a module that runs as __main__ nowhere.
    command = [sys.executable, "-m", "benchmarks.soak", *arguments, "--minutes", "0", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=schema.REPOSITORY)
    assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr


def test_the_command_lists_every_scenario_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(hardship, "own_mounts", lambda: False)
    page = tmp_path / "page.md"
    arguments = ["--folder", str(tmp_path / "soak"), "--page", str(page), "--minutes", "0", "--again", "--only"]
    assert main([*arguments, "damage, full disk"]) == 0
    text = page.read_text()
    names = ("training", "critic", "packing", "damage", "hypothesis", "full disk", "full disk (people)", "many photos")
    for name in names:
        assert f"(`{name}`)" in text
    assert "| 0 of 1000 planned | 0 | 0 |" in text
    with pytest.raises(SystemExit):
        main([*arguments, "damages"])


def test_a_lost_attempt_is_made_again_only_on_demand_and_stays_on_record(tmp_path):
    outcomes = iter([lost("torn"), survived()])
    trial = scenario(lambda index, generator: next(outcomes), attempts=1)
    about = ABOUT
    soak([trial], Journal(tmp_path / "j", about), None)
    soak([trial], Journal(tmp_path / "j", about), None)
    soak([trial], Journal(tmp_path / "j", about, again=True), None)
    content = report.summary([trial], Journal(tmp_path / "j", about))
    assert (content["scenarios"]["trial"]["attempts"], content["scenarios"]["trial"]["survived"]) == (1, 1)
    assert content["mended"] == ["trial, attempt 0, at abc: torn"]
    assert "- trial, attempt 0, at abc: torn" in report.page_text(content, [trial])


def test_attempts_at_other_code_are_made_again_and_the_page_names_the_last_ones_day(tmp_path):
    trial = scenario(lambda index, generator: lost("torn") if index == 0 else survived(), attempts=2)
    soak([trial], Journal(tmp_path / "j", ABOUT), None)
    (tmp_path / "j").write_text((tmp_path / "j").read_text().replace(date.today().isoformat(), "2026-01-02"))
    content = report.summary([trial], Journal(tmp_path / "j", ABOUT))
    assert "Run: last attempt 2026-01-02, seed 0, commit abc;" in report.page_text(content, [trial])
    other = ABOUT | {"commit": "def", "code": "two"}
    content = report.summary([trial], Journal(tmp_path / "j", other))
    assert (content["scenarios"]["trial"]["attempts"], content["commits"], content["mended"]) == (0, [], [])
    assert "Run: no attempts at this version of the code yet" in report.page_text(content, [trial])
    soak([scenario(lambda *_: survived(), attempts=2)], Journal(tmp_path / "j", other), None)
    content = report.summary([trial], Journal(tmp_path / "j", other))
    assert (content["scenarios"]["trial"]["survived"], content["commits"]) == (2, ["def"])
    assert content["mended"] == ["trial, attempt 0, at abc: torn"]


def reads(result, said="", makes=None):
    def read(folder):
        if makes is not None:
            (folder / "a.bin").write_text(makes)
        if isinstance(result, Exception):
            raise result
        print(said, end="", file=sys.stderr)
        return result

    return read


@pytest.mark.parametrize(
    ("origin", "read", "state", "how"),
    [
        (MADE, reads("whole"), SURVIVED, "harmless"),
        (MADE, reads("whole", "a.bin: damaged, made again", makes="whole"), SURVIVED, "made again, with a message"),
        (MADE, reads("whole", makes="whole"), LOST, "made again silently"),
        (MADE, reads("other"), LOST, "silent"),
        (USERS, reads("other"), LOST, "silent"),
        (OPEN, reads("other"), SURVIVED, "another content"),
        (OPEN, reads(UserError("a.bin: must be whole")), SURVIVED, "refused"),
        (OPEN, reads(UserError("must be whole")), LOST, "unnamed"),
        (OPEN, reads(KeyError("index")), LOST, "traceback"),
        (OPEN, reads(OSError(22, "Invalid argument")), LOST, "traceback"),
    ],
)
def test_how_a_damaged_file_may_end(tmp_path, origin, read, state, how):
    reader = Reader("trial", "trials", origin, lambda folder: None, read)
    (tmp_path / "a.bin").write_text("damaged")
    outcome = damage.judge(reader, tmp_path, damage.digest("whole"), tmp_path / "a.bin")
    assert outcome.state == state
    assert how in outcome.how


def test_damage_changes_a_file():
    content = bytes(range(200))
    changed = [damage.damaged(content, np.random.default_rng(seed)) for seed in range(60)]
    assert sum(other != content for other in changed) > 50
    assert {len(other) < 200 for other in changed} == {len(other) > 200 for other in changed} == {True, False}
    assert damage.damaged(b"", np.random.default_rng(0))


def test_a_digest_is_of_contents_and_not_of_places_in_memory():
    assert damage.digest([np.ones(2), "a"]) == damage.digest((np.ones(2), "a")) != damage.digest([np.ones(3), "a"])
    with pytest.raises(TypeError, match="must be arrays, texts and numbers"):
        damage.digest([object()])


class Run:
    """A child that has ended."""

    def __init__(self, code, errors="", act=lambda: None):
        self.code, self.errors, self.act = code, errors, act

    def kill_after(self, seconds):
        return self.code == -9

    def wait(self):
        self.act()
        return Ended(self.code, "", self.errors, 0.1)


@pytest.mark.parametrize(
    ("endings", "output", "state", "how"),
    [
        ([-9, 0], "right", SURVIVED, "same output"),
        ([0, -9, 2, 0], "right", SURVIVED, "same output"),
        ([-9, 0], "wrong", LOST, "other output"),
        ([-9, 1, 1, 1, 1], "right", LOST, "cannot go on"),
        ([2], "right", LOST, "failed"),
        ([0] * 9, "right", LOST, "the soak failed"),
    ],
)
def test_a_killed_run_must_leave_the_undisturbed_output(tmp_path, endings, output, state, how):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "out.txt").write_text("right")
    runs = iter(endings)

    @dataclasses.dataclass(frozen=True)
    class Command(Killable):
        def start(self, folder, **options):
            return Run(next(runs), act=lambda: (folder / "out.txt").write_text(output))

    world = SimpleNamespace(folder=tmp_path, copy=lambda stage, name: folder, remove=lambda path: None)
    trial = KillScenario(world, Command("run", "main", lambda _: (), lambda: folder, ("*.txt",)))
    trial._reference = {"seconds": 0.1, "digests": digests(folder, ("*.txt",))}
    outcome = trial(0, np.random.default_rng(0))
    assert (outcome.state, outcome.how) == (state, how)


@pytest.mark.parametrize(("code", "state"), [(0, SURVIVED), (2, LOST)])
def test_the_last_command_makes_what_is_compared(tmp_path, code, state):
    (folder := tmp_path / "run").mkdir()
    runs = iter([-9, 0])

    @dataclasses.dataclass(frozen=True)
    class Command(Killable):
        def start(self, folder, **options):
            return Run(next(runs))

        def complete(self, folder):
            (folder / "out.txt").write_text("merged")
            return Ended(code, "", "", 0.1)

    world = SimpleNamespace(folder=tmp_path, copy=lambda stage, name: folder, remove=lambda path: None)
    trial = KillScenario(world, Command("run", "main", lambda _: (), lambda: folder, ("*.txt",)))
    (folder / "out.txt").write_text("merged")
    trial._reference = {"seconds": 0.1, "digests": digests(folder, ("*.txt",))}
    (folder / "out.txt").unlink()
    assert trial(0, np.random.default_rng(0)).state == state


def test_every_kind_of_work_that_the_page_promises_is_killed(tmp_path):
    assert set(kills.KILLED) <= kills.commands(kills.World(tmp_path)).keys()
    assert kills.KILLED.keys() >= {"in place", "masks", "evaluating", "prepared part", "tested part"}
    proofs = {scenario.name: scenario.proof for scenario in kills.scenarios(kills.World(tmp_path))}
    assert [name for name, proof in proofs.items() if "an update in place" in proof] == ["in place"]


def test_the_undisturbed_run_is_made_again_when_the_code_changes(tmp_path, monkeypatch):
    made = []

    @dataclasses.dataclass(frozen=True)
    class Command(Killable):
        def start(self, folder, **options):
            made.append(folder)
            (folder / "out.txt").write_text("result")
            return Run(0)

    def copy(stage, name):
        folder = tmp_path / f"run{len(made)}"
        folder.mkdir()
        return folder

    world = SimpleNamespace(references=tmp_path / "references", copy=copy, remove=lambda path: None)
    for code, count in (("one", 1), ("one", 1), ("two", 2)):
        monkeypatch.setattr(kills, "code_version", lambda code=code: code)
        trial = KillScenario(world, Command("run", "main", lambda _: (), lambda: None, ("*.txt",)))
        assert trial.reference()["digests"].keys() == {"out.txt"}
        assert len(made) == count


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
    rows = np.stack([calls, calls * 0.1, np.full(30, 9e8), np.full(30, 40), np.full(30, 0.02)], axis=1)
    assert endurance.flat(rows)[1] == ""
    for column, growth, fault in ((1, calls**3 * 1e-7, "slows"), (2, calls * 1e5, "memory"), (3, calls / 100, "descr")):
        grown = rows.copy()
        grown[:, column] += growth
        assert fault in endurance.flat(grown)[1]
    assert endurance.flat(rows[:5])[1]


def test_a_busy_computer_does_not_look_like_a_run_that_slows_down():
    busy = np.where(np.arange(30) < 20, 1.0, 2.0)
    rows = np.stack([np.arange(1, 31.0), busy.cumsum(), np.full(30, 9e8), np.full(30, 40), 0.02 * busy], axis=1)
    figures, faults = endurance.flat(rows)
    assert faults == ""
    assert figures["seconds_per_call"] == [1.0, 2.0]
    assert figures["slowdown"] == pytest.approx(1.0, abs=0.05)


def talk_and_write(folder: str) -> None:
    """Body of a child: prints more than it may write to a file."""
    print("said " * 1000)
    print("warned " * 1000, file=sys.stderr)
    with open(f"{folder}/whole", "wb", buffering=0) as stream:
        stream.write(bytes(2000))


def test_the_limit_for_files_is_not_one_for_messages(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    child = Child("tests.benchmarks.test_soak:talk_and_write", (str(folder),), folder, limits=Limits(file_bytes=1000))
    ended = child.wait()
    assert ended.code == 0, ended.errors[-2000:]
    assert (folder / "whole").stat().st_size == 1000
    assert (ended.output.count("said"), ended.errors.count("warned")) == (1000, 1000)
