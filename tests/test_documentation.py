"""README, docs/ and their neighbours: commands exist, links lead somewhere, code compiles, nothing is forgotten."""

import ast
import configparser
import importlib
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import create_bin
import main
from benchmarks.bench.__main__ import NAMES
from benchmarks.soak.work import all_scenarios
from benchmarks.soak.world import World
from configs import flags, options_page, schema
from lib.errors import UserError
from tests.support.helpers import ROOT

README_LINES = 130
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "data/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
# A command begins with one of these, in shell blocks and in running text.
PROGRAMS = (
    "make",
    "docker",
    "python",
    "python3",
    "source",
    "pip",
    "tensorboard",
    "git",
    ".ci/run",
    "face-gcn",
    "ruff",
    "mypy",
    "pytest",
    "npm",
    "curl",
    "mkdir",
    "sudo",
)
# The reader is told to write or to bring these.
READERS_OWN = ("data/mine", "data/bfm09", "data/ict", "data/gnm", "data/sfm", "data/resnet_v1_50.ckpt")
# The programs make these.
GENERATED = ("data/test/raw", "data/generated", "data/params", "data/mine")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Every command of a page, without comments: the lines of shell blocks, and those in running text."""
    found = []
    for block in blocks(text_of(page), "sh"):
        lines = block.replace("\\\n", " ").splitlines()
        found += [" ".join(re.sub(r"(^|\s{2,})#.*", "", line).split()) for line in lines]
    found += re.findall(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`", prose(text_of(page)))
    return [command for command in found if command]


def anchors(page: Path) -> set[str]:
    """Anchors that a link may name after #: GitHub's slugs of the headings."""
    titles = re.findall(r"^#+ (.+)$", prose(text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    """Targets of links and pictures, those to other sites apart."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text_of(page)))
    return [target for target in targets if not re.match(r"https?:|mailto:", target)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


def test_the_readme_shows_the_commands_users_need():
    shown = commands(ROOT / "README.md")
    for command in (
        "make demo",
        "make test",
        "pip install -e .",
        "python create_bin.py",
        "python main.py --mode train",
        "python main.py --mode test --input DIR --output DIR",
    ):
        assert command in shown


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in commands(page)}))
def test_every_command_of_the_pages_exists(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(command)
    assert program in PROGRAMS
    if program == "make":
        check_make(words)
    elif program == "pip" and "-r" in words:
        assert (ROOT / words[words.index("-r") + 1]).is_file()
    elif program in ("python", "python3") and words[0] == "-m":
        check_module(words[1], words[2:])
    elif program == "python" and words[0].endswith(".py") and words[1:] != ["--help"]:
        check_program(words[0], words[1:])


def check_make(words: list[str]) -> None:
    """The Makefile must have the target and read the settings, and the parts that they name must be there."""
    makefile, (target, *settings) = text_of(ROOT / "Makefile"), words
    assert target in re.findall(r"^(\w+):", makefile, re.MULTILINE)
    for name, value in (setting.split("=") for setting in settings):
        assert f"$({name})" in makefile
        if name in ("BENCH_ONLY", "SOAK_ONLY"):
            scenarios = (scenario.name for scenario in all_scenarios(World(Path("soak")), 0))
            known = set(NAMES if name == "BENCH_ONLY" else scenarios)
            assert [part for part in value.split(",") if part not in known] == []


def check_module(module: str, words: list[str]) -> None:
    """A module that is run must be there and know the flags and options that it is given."""
    if module in ("pytest", "pip", "venv"):
        return
    path = ROOT / (module.replace(".", "/") + ".py")
    assert path.is_file()
    source = text_of(path)
    unknown = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
    assert unknown == []
    overrides = [word for word in words if re.match(r"[a-z_]+\.[a-z_]+=", word)]
    assert not overrides or '"overrides"' in source
    configs = [word for word in words if word.endswith(".yaml") and not word.startswith(READERS_OWN)]
    for config in configs or [None]:
        schema.load(config, overrides)


def check_program(script: str, words: list[str]) -> None:
    """A program must accept the flags and options; of the files, only those of the repository are looked at."""
    if script.startswith("examples/"):
        (count,) = re.findall(r"len\(sys\.argv\) != (\d+)", text_of(ROOT / script))
        assert len([script, *words]) == int(count)
        return
    args = {"main.py": main, "create_bin.py": create_bin}[script].parse(words)
    if script == "main.py":
        flags.check_mode(args)
    own = args.config is not None and args.config.startswith(READERS_OWN)
    schema.load(None if own else args.config, args.overrides)


def test_a_command_with_a_misspelt_flag_is_noticed():
    with pytest.raises(UserError, match="unknown flag"):
        check_program("main.py", ["--mode", "test", "--inptu", "DIR"])
    with pytest.raises(AssertionError):
        check_module("benchmarks.detector_check", ["--cuont", "3"])


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_module("benchmarks.bench_export", ["fit.landmark=false"]),
        lambda: check_module("benchmarks.bench_export", ["--config", "configs/bulit_in.yaml"]),
        lambda: check_module("benchmarks.page_speed", ["fit.landmarks=false"]),
        lambda: check_make(["bench", "BENCH_ONYL=step"]),
        lambda: check_make(["bench", "BENCH_ONLY=stpe"]),
        lambda: check_make(["soak", "SOAK_ONLY=damage,packnig"]),
        lambda: check_program("examples/one_photo.py", ["photo.jpg"]),
    ],
    ids=["option", "configuration", "no options", "setting", "row", "scenario", "arguments"],
)
def test_a_command_with_a_slip_in_its_arguments_is_noticed(check):
    with pytest.raises((AssertionError, UserError)):
        check()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_linked_from_another():
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert [name_of(page) for page in PAGES if page not in linked and page.name != "README.md"] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_in_the_pages_exist(page):
    named = re.findall(r"`((?:lib|model|configs|data|docs|tests|benchmarks|examples)/[\w/.]+)`", prose(text_of(page)))
    missing = [path for path in named if not (ROOT / path).exists() and not path.startswith(GENERATED + READERS_OWN)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_in_the_pages_compiles_and_imports_what_exists(page):
    for block in blocks(text_of(page), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (ROOT / node.module.split(".")[0]).is_dir():
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert citation["version"] == version
    assert f"  version = {{{version}}},\n" in text_of(ROOT / "README.md")
    titles = re.findall(r"^  title +[ =]+{(.+)},$", text_of(ROOT / "README.md"), re.MULTILINE)
    assert citation["title"] in [re.sub("[{}]", "", title) for title in titles]
    assert f"## {version}\n" in text_of(ROOT / "CHANGELOG.md")


def test_the_page_of_options_is_up_to_date():
    page = ROOT / "docs" / "reference" / "options.md"
    assert text_of(page) == options_page.page(), "run: python -m configs.options_page > docs/reference/options.md"


def test_the_page_of_options_names_every_option_and_flag():
    page = options_page.page()
    for option in schema._keys():
        assert f"`{option.split('.')[1]}`" in page
    for flag in flags.OPTIONS:
        assert f"`--{flag}`" in page


def test_the_site_shows_every_page():
    navigation = text_of(ROOT / "mkdocs.yml")
    assert [name_of(page) for page in PAGES if not re.search(rf"[ :]{name_of(page)}$", navigation, re.MULTILINE)] == []


def test_the_site_builds(tmp_path):
    """Strictly: a page that the navigation forgets, a broken link or a missing anchor is an error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    assert "docs/guide/train.html" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_the_architecture_names_every_package_and_the_layers():
    page = text_of(ROOT / "docs" / "architecture.md")
    tree, *layers = blocks(page, "text")
    for folder in ("lib", "model"):
        below = tree[tree.index(f"\n{folder}/") :]
        for path in (ROOT / folder).iterdir():
            if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").is_file()):
                name = path.name if path.suffix == ".py" else f"{path.name}/"
                assert re.search(rf"^  {re.escape(name)} ", below, re.MULTILINE), f"{folder}/{name}"
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    for text, name in zip(layers, ("model", "lib"), strict=True):
        assert text.strip() == contracts[f"importlinter:contract:{name}"]["layers"].strip()


def walk(title: str) -> list[tuple[str, str]]:
    """The calls that a section of docs/architecture.md lists: file and name."""
    section = text_of(ROOT / "docs" / "architecture.md").split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| +\d+ \| `([\w./]+)` \| `([\w.]+)`", section, re.MULTILINE)


PHOTO, CROP = walk("One photo's way through the program"), walk("One crop's way through the program")


def test_the_walk_of_a_photo_enters_no_package_twice():
    """The reconstructor conducts the walk; lib/ is called from wherever it is needed."""
    packages = [path.split("/")[1] for path, _ in PHOTO if path.startswith("model/")]
    entered = [name for name, _ in itertools.groupby(name for name in packages if name != "reconstruction")]
    assert len(entered) == len(set(entered)) > 5


@pytest.mark.parametrize(("path", "name"), PHOTO + CROP)
def test_the_calls_of_the_walks_exist(path, name):
    """A function, or a method of a class as Class.method."""
    scope: ast.AST = ast.parse(text_of(ROOT / path))
    for part in name.split("."):
        named = {node.name: node for node in scope.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert part in named
        scope = named[part]
