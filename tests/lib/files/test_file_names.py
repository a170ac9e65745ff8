"""lib/files/file_names.py."""

import os

import pytest

from lib.files.file_names import fitting


@pytest.mark.parametrize("letter", ["x", "ä", "人"])
def test_a_name_that_is_too_long_gets_a_hash(tmp_path, letter):
    assert fitting(letter * 20, ".json") == letter * 20 + ".json"
    whole = letter * (250 // len(letter.encode()))
    assert fitting(whole, ".png") == whole + ".png"
    cut = fitting(whole, ".manifest.json")
    assert cut.startswith(letter * 50)
    assert cut.endswith(".manifest.json")
    assert 250 < len(os.fsencode(cut)) <= 255
    (tmp_path / cut).touch()
    assert fitting(whole[:-1] + "y", ".manifest.json") != cut, "names that differ at the end stay different"
