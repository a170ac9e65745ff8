"""The environment of the Makefile: one that works is kept, any other is made again."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.helpers import ROOT

# A Python that notes how it is called, and makes environments with itself as their Python.
PYTHON = """#!/bin/sh
echo "$0 $*" >> calls
if [ "$2" = venv ]; then rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi
"""
BROKEN = "#!/bin/sh\nexit 1\n"
HANDED_ON = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VENV", "PYTHON")


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make(folder, python="./python3", target=".venv/.runtime"):
    """Makes the environment; returns how the Pythons were called, and what was said."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    command = ["make", target, f"PYTHON={python}"]
    # `make test` hands its own settings on to every make below it.
    own = {name: value for name, value in os.environ.items() if name not in HANDED_ON}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    calls = (folder / "calls").read_text().splitlines() if (folder / "calls").is_file() else []
    return done, [call for call in calls if " -c " not in call]


@pytest.fixture
def folder(tmp_path):
    if not shutil.which("make"):
        pytest.skip("needs make")
    write_program(tmp_path / "python3", PYTHON)
    return tmp_path


def test_an_environment_that_somebody_made_is_kept(folder):
    write_program(folder / ".venv" / "bin" / "python", PYTHON)
    (folder / ".venv" / "installed").touch()
    done, calls = make(folder)
    assert done.returncode == 0, done.stderr
    assert (folder / ".venv" / "installed").is_file()
    assert len(calls) == 1
    assert ".venv/bin/python -m pip install" in calls[0]


@pytest.mark.parametrize("content", [None, "", BROKEN])
def test_a_missing_or_unusable_environment_is_made(folder, content):
    if content is not None:
        (folder / ".venv").mkdir()
    if content:
        write_program(folder / ".venv" / "bin" / "python", content)
    done, calls = make(folder)
    assert done.returncode == 0, done.stderr
    assert calls[0].endswith("-m venv --clear .venv")
    assert "-m pip install" in calls[1]
    assert (folder / ".venv" / ".runtime").is_file()


def test_without_python_nothing_is_removed(folder):
    (folder / ".venv").mkdir()
    (folder / ".venv" / "installed").touch()
    done, calls = make(folder, "no-such-python")
    assert (done.returncode, calls) == (2, [])
    assert "Python 3.11 or newer must be installed, got no 'no-such-python'" in done.stderr
    assert (folder / ".venv" / "installed").is_file()


def test_no_target_empties_an_environment_that_works(folder):
    write_program(folder / ".venv" / "bin" / "python", PYTHON)
    (folder / ".venv" / "installed").touch()
    done, calls = make(folder, target="environment")
    assert (done.returncode, calls) == (2, []), "there is no such target"
    assert (folder / ".venv" / "installed").is_file()


def test_help_describes_every_target(folder):
    done, calls = make(folder, target="help")
    assert (done.returncode, done.stderr, calls) == (0, "", [])
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert re.findall(r"^make (\w+) ", done.stdout, re.MULTILINE) == targets


def test_settings_of_a_make_around_the_tests_do_not_count(folder, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "n -- VENV=elsewhere")
    monkeypatch.setenv("MAKELEVEL", "1")
    done, calls = make(folder)
    assert done.returncode == 0, done.stderr
    assert (folder / ".venv" / ".runtime").is_file()
    assert calls[0].endswith("-m venv --clear .venv")
