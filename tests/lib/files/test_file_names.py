"""lib/files/file_names.py."""

import os

import pytest

from lib.files.file_names import by_numbers, fitting, is_portable


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


def test_names_are_ordered_by_their_numbers():
    names = ["b1", "frame10.png", "frame2.png", "frame1.png", "a/10/2", "a/9/12", "frame01.png", "frame", "7", "10"]
    assert sorted(names, key=by_numbers) == [
        "7", "10", "a/9/12", "a/10/2", "b1", "frame", "frame01.png", "frame1.png", "frame2.png", "frame10.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("a", True), ("auxiliary", True), ("com10", True), ("aux", False), ("NUL.txt", False), ("com¹", False),
        ("conin$", False), ("a:b", False), ("a?b", False), ("a|b", False), ('a"b', False), ("a\tb", False),
        ("a.", False),
    ],
)  # fmt: skip
def test_names_that_other_systems_cannot_have(name, portable):
    assert is_portable(name) == portable
