"""The soak counts a loss as a loss: what its judges accept, what they do not, and what reaches the page."""

import dataclasses
import subprocess
import sys
from datetime import date

import pytest

from benchmarks.soak import hardship, report, world
from benchmarks.soak.__main__ import FOLDER, main
from benchmarks.soak.attempts import Journal, Scenario, lost, next_attempt, skipped, survived
from benchmarks.soak.work import all_scenarios, soak
from benchmarks.soak.world import World
from configs import schema

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
    assert "| a trial | 4 | 2 | 2 | 2 whole; 1 the soak failed |" in page
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
    trial = scenario(lambda index, generator: lost("torn", "torn") if index == 0 else survived(), attempts=2)
    soak([trial], Journal(tmp_path / "j", ABOUT), None)
    (tmp_path / "j").write_text((tmp_path / "j").read_text().replace(date.today().isoformat(), "2026-01-02"))
    content = report.summary([trial], Journal(tmp_path / "j", ABOUT))
    assert "| a trial | 2 | 1 | 1 | 1 torn | 2026-01-02 at abc |" in report.page_text(content, [trial])
    other = ABOUT | {"commit": "def", "code": "two"}
    first, content = content, report.summary([trial], Journal(tmp_path / "j", other))
    assert (content["scenarios"]["trial"]["attempts"], content["mended"]) == (0, [])
    assert "| a trial | 0 of 2 planned | 0 | 0 |  | not yet |" in report.page_text(content, [trial])
    kept = report.summary([trial], Journal(tmp_path / "j", other), first)
    assert kept["scenarios"] == first["scenarios"], "figures stay until there are new ones"
    soak([scenario(lambda *_: survived(), attempts=2)], Journal(tmp_path / "j", other), None)
    content = report.summary([trial], Journal(tmp_path / "j", other))
    assert (content["scenarios"]["trial"]["survived"], content["scenarios"]["trial"]["commits"]) == (2, ["def"])
    assert content["mended"] == ["trial, attempt 0, at abc: torn"]
    content = report.summary([trial], Journal(tmp_path / "j", other), kept | {"mended": ["earlier"]})
    assert content["scenarios"]["trial"]["commits"] == ["def"]
    assert content["mended"] == ["earlier", "trial, attempt 0, at abc: torn"]


def test_the_page_is_that_of_the_stored_figures(tmp_path):
    stored = report.read(FOLDER.with_suffix(".json"))
    known = all_scenarios(World(tmp_path), stored["seed"])
    assert report.page_text(stored, known) == report.PAGE.read_text(encoding="utf-8"), "make soak SOAK_MINUTES=0"


def test_skipped_attempts_are_tried_again_by_the_next_soak_and_not_by_this_one(tmp_path):
    made = []

    def run(index, generator):
        made.append(index)
        return skipped("it is not installed") if len(made) <= 2 else survived()

    trial = scenario(run, attempts=2)
    soak([trial], Journal(tmp_path / "j", ABOUT), None)
    assert made == [0, 1]
    soak([trial], Journal(tmp_path / "j", ABOUT), None)
    assert made == [0, 1, 0, 1]
    content = report.summary([trial], Journal(tmp_path / "j", ABOUT))["scenarios"]["trial"]
    assert (content["survived"], content["skipped"]) == (2, [])
    soak([trial], Journal(tmp_path / "j", ABOUT), None)
    assert len(made) == 4


def test_the_code_is_all_that_determines_outputs_inputs_and_judges():
    found = set(world._code_files())
    parts = (
        "main.py",
        "requirements.txt",
        "model/report/",
        "data/person/",
        "benchmarks/soak/damage.py",
        "tests/support",
    )
    for part in parts:
        assert any(name.startswith(part) for name in found), part
    assert any(name.endswith(".css") for name in found)
    assert not any(name.startswith(("docs/", "data/generated", "tests/lib")) for name in found)


def test_the_code_is_found_without_git(monkeypatch):
    found = set(world._code_files())
    monkeypatch.setenv("PATH", "")
    assert found <= set(world._code_files())


def test_inputs_are_made_anew_for_other_code(tmp_path, monkeypatch):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "input").touch()

    for code in ("one", "one", "two"):
        monkeypatch.setattr(world, "code_version", lambda code=code: code)
        found = World(tmp_path)
        found.forget_other_inputs()
        assert (found.stage("trial", None, make) / "input").is_file()
    assert len(made) == 2
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == ["two"]
