"""JSON files: whatever a program measured, any parser reads it back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.files.json_files import json_text, with_checksum, without_checksum, write_json

# Lone surrogates are what Python makes of bytes of a file name that are not UTF-8.
NAMES = st.text(st.characters(exclude_categories=()), max_size=8)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), NAMES)
CONTENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


def expected(content):
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, list):
        return [expected(value) for value in content]
    if isinstance(content, dict):
        return {key: expected(value) for key, value in content.items()}
    return content


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


@given(CONTENTS)
def test_every_content_comes_back_and_what_is_no_number_is_null(folder, content):
    write_json(folder / "a.json", content)
    text = (folder / "a.json").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    assert json.loads(text, parse_constant=refuse) == expected(content)
    assert json.loads(json_text(content), parse_constant=refuse) == expected(content)


@given(st.dictionaries(NAMES, CONTENTS, max_size=4).filter(lambda content: "crc32" not in content))
def test_a_checksum_holds_for_what_comes_back(content):
    stored = json.loads(json_text(with_checksum(content, "owner")))
    assert without_checksum(stored, "owner") == expected(content)
    for owner in ("", "other"):
        with pytest.raises(ValueError, match="checksum"):
            without_checksum(stored, owner)


@pytest.mark.parametrize("damaged", [{"a": 2}, {"b": 1}, {"a": 1, "b": 1}, {}, {"a": 1, "crc32": None}, [], None, 7])
def test_changed_content_does_not_fit_its_checksum(damaged):
    whole = with_checksum({"a": 1})
    changed = {"crc32": whole["crc32"], **damaged} if isinstance(damaged, dict) else damaged
    with pytest.raises(ValueError, match="checksum"):
        without_checksum(changed)


def test_the_format_is_one_people_can_read(tmp_path):
    write_json(tmp_path / "a.json", {"photo": "Zoë.jpg", "psnr": (float("nan"), 31.5)})
    text = '{\n "photo": "Zoë.jpg",\n "psnr": [\n  null,\n  31.5\n ]\n}\n'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == text


def test_content_that_json_cannot_hold_leaves_the_earlier_file(tmp_path):
    write_json(tmp_path / "a.json", {"good": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(tmp_path / "a.json", {"bad": {1, 2}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"good": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
