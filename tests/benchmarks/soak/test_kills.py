"""What the soak accepts of runs that were killed."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.soak import kills
from benchmarks.soak.attempts import LOST, SURVIVED
from benchmarks.soak.kills import KillScenario
from benchmarks.soak.runs.child import Ended, durations_file
from benchmarks.soak.runs.commands import Killable, commands
from benchmarks.soak.world import World, digests


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
        ([0, -9, 0], "right", SURVIVED, "same output"),
        ([-9, (2, "error: the run has completed")], "right", SURVIVED, "same output"),
        ([-9, (1, "error: the run has completed")], "right", LOST, "cannot go on"),
        ([-9, (0, "Traceback (most recent call last)")], "right", LOST, "cannot go on"),
        ([-9, 1, 0], "right", LOST, "cannot go on"),
        ([-9, -11, 0], "right", LOST, "cannot go on"),
        ([-9, 2, 0], "right", LOST, "cannot go on"),
        ([-9, 0], "wrong", LOST, "other output"),
        ([2], "right", LOST, "failed"),
        ([0] * 9, "right", LOST, "the soak failed"),
    ],
)
def test_a_killed_run_must_leave_the_undisturbed_output(tmp_path, endings, output, state, how):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "out.txt").write_text("right")
    runs = iter(ending if isinstance(ending, tuple) else (ending, "") for ending in endings)

    @dataclasses.dataclass(frozen=True)
    class Command(Killable):
        def start(self, folder, **options):
            return Run(*next(runs), act=lambda: (folder / "out.txt").write_text(output))

    world = World(tmp_path / "soak")
    world.copy, world.attempts = lambda stage, name: folder, tmp_path
    command = Command("run", "main", lambda _: (), lambda: folder, ("*.txt",), finished="has completed")
    trial = KillScenario(world, command)
    trial._reference = {"seconds": 0.1, "digests": digests(folder, ("*.txt",))}
    outcome = trial(0, np.random.default_rng(0))
    assert (outcome.state, outcome.how) == (state, how)
    kept = tmp_path / "soak" / "losses" / "run-0" / "out.txt"
    assert kept.exists() == (state == LOST), "what a lost attempt has left is kept"


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

    world = World(tmp_path / "soak")
    world.copy, world.attempts = lambda stage, name: folder, tmp_path
    trial = KillScenario(world, Command("run", "main", lambda _: (), lambda: folder, ("*.txt",)))
    (folder / "out.txt").write_text("merged")
    trial._reference = {"seconds": 0.1, "digests": digests(folder, ("*.txt",))}
    (folder / "out.txt").unlink()
    assert trial(0, np.random.default_rng(0)).state == state


def test_every_kind_of_work_that_the_page_promises_is_killed(tmp_path):
    assert set(kills.KILLED) <= commands(World(tmp_path)).keys()
    assert kills.KILLED.keys() >= {"in place", "masks", "evaluating", "prepared part", "tested part"}
    proofs = {scenario.name: scenario.proof for scenario in kills.scenarios(World(tmp_path))}
    assert [name for name, proof in proofs.items() if "an update in place" in proof] == ["in place"]


def test_the_undisturbed_run_is_made_again_when_the_code_changes(tmp_path, monkeypatch):
    made = []

    @dataclasses.dataclass(frozen=True)
    class Command(Killable):
        def start(self, folder, **options):
            made.append(folder)
            assert options["timed"] == {"module:function"}
            durations_file(folder).write_text("module:function 2.5\nmodule:function 1\n")
            (folder / "out.txt").write_text("result")
            return Run(0)

    def copy(stage, name):
        folder = tmp_path / f"run{len(made)}"
        folder.mkdir()
        return folder

    world = SimpleNamespace(references=tmp_path / "references", copy=copy, remove=lambda path: None)
    for code, count in (("one", 1), ("one", 1), ("two", 2)):
        monkeypatch.setattr(kills, "code_version", lambda code=code: code)
        command = Command("run", "main", lambda _: (), lambda: tmp_path, ("*.txt",), (("module:function", 1),))
        trial = KillScenario(world, command)
        assert trial.reference()["digests"].keys() == {"out.txt"}
        aim = trial._aim(0, np.random.default_rng(0))
        assert (aim.call, aim.first) == (1, 2.5), "of a first call, the undisturbed run tells how long it takes"
        assert len(made) == count
