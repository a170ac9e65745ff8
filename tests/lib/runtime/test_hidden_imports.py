"""Packages that are hidden while others are imported, and modules that run later."""

import importlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.runtime.hidden_imports import deferred, hidden


@pytest.fixture
def gathering(tmp_path, monkeypatch):
    """A package `gathering` that imports its modules `first` and `second`; removed from `sys.modules` afterwards."""
    for name, text in (
        ("__init__", "from gathering import first, second\n"),
        ("first", "import time\ntime.sleep(0.05)\nimport gathering.first\nvalue = 1\n"),
        ("second", "import sys\nvalue = len(sys.modules)\n"),
    ):
        path = tmp_path / "gathering" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield "gathering"
    for name in [name for name in sys.modules if name.partition(".")[0] == "gathering"]:
        del sys.modules[name]


def test_a_hidden_package_cannot_be_imported_until_the_block_ends(tmp_path, monkeypatch):
    (tmp_path / "some_extra.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with hidden("some_extra"), pytest.raises(ImportError):
        importlib.import_module("some_extra")
    assert importlib.import_module("some_extra") is sys.modules.pop("some_extra")


def test_a_package_that_is_already_imported_stays():
    with hidden("pytest"):
        assert importlib.import_module("pytest") is pytest
    assert sys.modules["pytest"] is pytest


def test_a_deferred_module_runs_when_a_name_is_looked_up(gathering):
    with deferred("gathering."):
        package = importlib.import_module(gathering)
    assert "value" not in vars(package.first)
    assert package.first.value == 1
    assert package.first is sys.modules["gathering.first"]
    assert type(package.first) is type(sys)
    assert "value" not in vars(package.second)
    with pytest.raises(AttributeError, match="nothing"):
        package.second.nothing  # noqa: B018
    assert package.second.value > 1


def test_a_deferred_module_runs_when_its_names_are_listed(gathering):
    with deferred("gathering."):
        package = importlib.import_module(gathering)
    assert "value" in dir(package.first)
    assert type(package.first) is type(sys)


def test_other_modules_run_at_once(gathering):
    with deferred("gathering.", but=("gathering.sec",)):
        package = importlib.import_module(gathering)
    assert "value" in vars(package.second)
    assert "value" not in vars(package.first)


def test_imports_after_the_block_are_ordinary(gathering):
    with deferred("gathering."):
        pass
    assert "value" in vars(importlib.import_module(gathering).first)


def test_threads_that_look_a_name_up_together_all_find_it(gathering):
    with deferred("gathering."):
        module = importlib.import_module(gathering).first
    together = threading.Barrier(4)

    def look() -> int:
        together.wait()
        return module.value

    with ThreadPoolExecutor(4) as threads:
        assert [future.result() for future in [threads.submit(look) for _ in range(4)]] == [1] * 4
