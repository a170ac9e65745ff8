"""The Dockerfile: it builds from the repository alone, by the Makefile's own steps, and leaves root."""

import re
import shlex

import pytest

from tests.support.helpers import ROOT
from tests.test_repository import tracked


@pytest.fixture(scope="module")
def steps():
    """Instruction and arguments of each line."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    return [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]


def test_it_installs_by_a_target_of_the_makefile(steps):
    targets = re.findall(r"^\$\(VENV\)(/\.\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = [shlex.split(arguments)[1] for name, arguments in steps if name == "RUN" and arguments.startswith("make ")]
    assert made == [".venv/.serving"]  # --mode serve needs packages of its own
    assert set(made) <= {f".venv{target}" for target in targets}
    assert not [arguments for name, arguments in steps if name == "RUN" and "pip" in arguments]


def test_what_it_copies_first_is_all_that_target_needs(steps):
    copied = [shlex.split(arguments) for name, arguments in steps if name == "COPY"]
    makefile = (ROOT / "Makefile").read_text()
    rules = {name: needed.split() for name, needed in re.findall(r"^(\$\(VENV\)/\.\w+): (.*)$", makefile, re.MULTILINE)}
    needed = rules["$(VENV)/.serving"]
    assert set(needed) & set(rules) == {"$(VENV)/.runtime"}
    assert {"Makefile", *needed, *rules["$(VENV)/.runtime"]} - set(rules) == set(copied[0][1:-1])
    assert copied[1][1:] == [".", "."]


def test_make_does_not_install_again_in_a_container(steps):
    """Stamps older than the copied requirements would be made again, in every container."""
    stamps = re.findall(r"^\$\(VENV\)/(\.\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    copied = [i for i, (name, _) in enumerate(steps) if name == "COPY"][-1]
    touched = [shlex.split(arguments)[1:] for name, arguments in steps[copied:] if arguments.startswith("touch ")]
    assert touched == [[f".venv/{stamp}" for stamp in stamps if stamp != ".development"]]


def test_root_installs_no_python_package_and_does_not_run_it(steps):
    names = [name for name, _ in steps]
    user = names.index("USER")
    assert steps[user][1] != "root"
    assert names.index("ENTRYPOINT") > user
    assert [i for i, (name, arguments) in enumerate(steps) if name == "RUN" and "make " in arguments][-1] > user


def test_nothing_generated_is_copied_and_nothing_of_the_repository_left_out():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    git = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    generated = {line for line in git if line.startswith("data/")} - {
        "data/weights/*.previous.npz",
        "data/built_in/*.previous.npz",
    }
    assert generated | {"results/*", "checkpoints", ".venv", "node_modules", "site", "build"} <= set(ignored)
    for path in tracked():
        name = path.relative_to(ROOT)
        assert not any(name.is_relative_to(line) for line in ignored if "*" not in line), name
