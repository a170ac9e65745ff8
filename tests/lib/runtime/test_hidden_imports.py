"""Packages that are hidden while others are imported."""

import importlib
import sys

import pytest

from lib.runtime.hidden_imports import hidden


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
