"""What the soak accepts of runs whose files vanish or whose folders are read-only."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.soak import hardship
from benchmarks.soak.attempts import LOST, SURVIVED
from benchmarks.soak.hardship import Hardship
from benchmarks.soak.judging.endings import DENIED, FULL, concerns, fault, spoilt
from benchmarks.soak.kills import KillScenario
from benchmarks.soak.runs.child import Ended
from benchmarks.soak.runs.commands import Killable, commands
from benchmarks.soak.world import World, digests

PHOTOS = ("a.jpg", "more/b.jpg")
BAR = "\rreconstruct:   0%|          | 0/2 [00:00<?, ?photo/s]\rreconstruct:  50%|#####     | 1/2 [00:03<00:03, a.jpg]"
OUTPUTS = ("out/**/*",)


def test_which_endings_of_a_hard_run_are_faults():
    def ended(code, errors):
        return Ended(code, "", errors, 0.1)

    assert not fault(ended(2, "bar\nerror: a.bin: must fit on its disk"), (0, 2), FULL)
    assert "cause" in fault(ended(2, "error: something"), (0, 2), FULL)
    assert "traceback" in fault(ended(1, "Traceback (most recent call last):\n  x\nKeyError"), (0, 1))
    assert "exit code -7" in fault(ended(-7, ""), (0, 2))
    assert "no line" in fault(ended(2, "usage"), (0, 2))


def test_every_attempt_at_a_mode_is_of_both_kinds(tmp_path):
    for modes in (hardship.MODES, hardship.PEOPLE):
        assert len(modes) % 2 == 1, "every other attempt is of another kind"
        assert set(modes) <= hardship.READ.keys() & commands(World(tmp_path)).keys()


def run_on(folder, listing="", code=0, errors="", spoil=None) -> Ended:
    """A program that copies its photos, notes their number, and lists some as failed."""
    photos = sorted(path for path in (folder / "photos").rglob("*") if path.is_file())
    failed = [line.split(":")[0] for line in listing.splitlines()]
    for path in photos:
        name = path.relative_to(folder / "photos")
        if str(name) not in failed:
            copy = folder / "out" / name.with_suffix("") / "copy"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("spoilt" if spoil == str(name) else path.read_text())
    (folder / "out" / "summary.csv").write_text(f"photos\n{len(photos)}\n")
    (folder / "out" / "failed.txt").write_text(listing)
    return Ended(code, "", errors, 0.1)


def child(wait, exitcode=None):
    """A child process that runs on, or has ended, when a file is to be deleted."""
    return SimpleNamespace(process=SimpleNamespace(join=lambda _: None, exitcode=exitcode), wait=wait)


@pytest.fixture
def soak(tmp_path):
    """Runs an attempt: soak(scenario, **what the disturbed run does) -> outcome."""

    def stage():
        return tmp_path / "stage"

    for name in PHOTOS:
        (stage() / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (stage() / "photos" / name).write_text(name)
        copy = stage() / "out" / Path(name).with_suffix("") / "copy"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("of other options")
    world = World(tmp_path / "soak")
    expected = {"seconds": 0.0, "digests": {}}

    def attempt(kind, early=False, ended=0, **disturbed):
        runs = []

        @dataclasses.dataclass(frozen=True)
        class Command(Killable):
            def start(self, folder, **options):
                """The first run is the disturbed one, which has read its photos before they vanish, unless `early`."""
                runs.append(folder)
                if len(runs) <= ended:
                    return child(lambda: Ended(0, "", "", 0.0), exitcode=0)
                how = disturbed if len(runs) == 1 + ended else {}
                if early or len(runs) > 1 + ended:
                    return child(lambda: run_on(folder, **how))
                done = run_on(folder, **how)
                return child(lambda: done)

        hard = Hardship.__new__(Hardship)
        reference = KillScenario(world, Command("testing", "main", lambda _: (), stage, OUTPUTS))
        reference._reference = expected
        hard.world, hard.references = world, [reference]
        return getattr(hard, kind)(1, np.random.default_rng(0))

    run_on(world.copy(stage(), "testing"))
    expected["digests"] = digests(world.attempts / "testing", OUTPUTS)
    return attempt


@pytest.mark.parametrize(
    ("disturbed", "state", "how"),
    [
        ({}, SURVIVED, "no longer needed"),
        ({"early": True}, SURVIVED, "before the run looked"),
        ({"code": 2, "errors": "error: a.jpg: must be there"}, SURVIVED, "named"),
        ({"spoil": "a.jpg"}, LOST, "other output"),
        ({"code": 2, "errors": "error: the moon must be full"}, LOST, "unnamed"),
        ({"code": 2, "errors": "error: the moon must be full for photos, got half"}, LOST, "unnamed"),
        ({"code": 2, "errors": "error: photos: must hold photos"}, SURVIVED, "named"),
        ({"code": 2, "errors": "error: more/b.jpg: must be there"}, LOST, "unnamed"),
        ({"code": 2, "errors": "error: a.jpg: must be there", "spoil": "a.jpg"}, LOST, "earlier output"),
        ({"spoil": "a.jpg", "errors": "a.jpg: left out"}, SURVIVED, "with a message"),
        ({"spoil": "a.jpg", "errors": BAR}, LOST, "other output"),
        ({"spoil": "a.jpg", "errors": f"{BAR}a.jpg: left out\n{BAR}"}, SURVIVED, "with a message"),
        ({"spoil": "more/b.jpg", "errors": "a.jpg: left out"}, LOST, "other output"),
        ({"code": 3, "listing": "a.jpg: a.jpg is gone\n"}, SURVIVED, "listed"),
        ({"code": 3, "listing": "a.jpg: a.jpg is gone\n", "spoil": "more/b.jpg"}, LOST, "other output"),
        ({"code": 3, "listing": "more/b.jpg: no face\n"}, LOST, "not listed"),
    ],
)
def test_what_may_become_of_a_run_whose_photo_vanishes(soak, monkeypatch, disturbed, state, how):
    monkeypatch.setitem(hardship.READ, "testing", ("photos/a.jpg",))
    outcome = soak("vanishing", **disturbed)
    assert (outcome.state, how in outcome.how) == (state, True), outcome


def test_success_in_a_read_only_folder_needs_the_whole_output(soak):
    assert soak("read_only").state == SURVIVED
    outcome = soak("read_only", spoil="a.jpg")
    assert (outcome.state, outcome.how) == (LOST, "other output")


def test_a_photo_whose_folder_is_read_only_is_listed_with_the_cause(soak):
    listing = f"a.jpg: out/a: must be a folder that can be written, got: {DENIED[0]}\n"
    assert soak("read_only", code=3, listing=listing).how == "listed; the other photos done"
    assert soak("read_only", code=3, listing=listing, spoil="more/b.jpg").how == "other output"
    assert soak("read_only", code=3, listing="a.jpg: no face\n").how == "not listed"


def test_a_refused_run_leaves_earlier_files_or_whole_new_ones(soak):
    refused = {"code": 2, "errors": f"error: out: {DENIED[0]}"}
    assert soak("read_only", **refused).how == "named"
    assert soak("read_only", spoil="a.jpg", **refused).how == "earlier output"
    earlier, expected = {"a": "1", "b": "2", "out/progress.jsonl": "3"}, {"a": "4", "c": "5"}
    assert spoilt({"a": "4", "b": "2"}, earlier, expected) == []
    assert spoilt({"a": "", "b": "2"}, earlier, expected) == ["a"]
    assert spoilt({"a": "1", "b": "6"}, earlier, expected) == ["b"]
    assert spoilt({"a": "1"}, earlier, expected) == [], "an undisturbed run removes it, too"


def test_a_run_that_ended_before_its_file_was_deleted_is_made_again(soak, monkeypatch):
    monkeypatch.setitem(hardship.READ, "testing", ("photos/a.jpg",))
    assert soak("vanishing", ended=2).state == SURVIVED
    outcome = soak("vanishing", ended=99)
    assert (outcome.state, outcome.how) == (LOST, "the soak failed")


def test_which_files_may_differ_because_a_photo_failed():
    assert concerns("out/summary.csv", [], False)
    assert concerns("out/sheets/page_001.png", [], False)
    assert concerns("out/more/b/mesh.obj", ["more/b.jpg"], False)
    assert concerns("out/crops/more__b.png", ["more/b.jpg"], False)
    assert not concerns("out/more/c/mesh.obj", ["more/b.jpg"], False)
    assert concerns("out/more/c/mesh.obj", ["more/b.jpg"], True)
    assert not concerns("out/other/c/mesh.obj", ["more/b.jpg"], True)
    assert concerns("out/person/mesh.obj", ["1.png"], True), "a frame of a folder"
