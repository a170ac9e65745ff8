"""Hostile configuration values: one line each, in well under a second."""

import dataclasses
import time
from typing import get_type_hints

import pytest

from configs import plain_yaml, schema
from lib.errors import UserError

BOMB = "loss:\n  render: &a [1,1]\n" + "".join(
    f"  {key}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n"
    for key, new, old in zip(
        ("project", "hidden", "identity", "symmetry", "albedo", "variance", "coarse", "weight_decay"),
        "bcdefghi", "abcdefgh", strict=True,
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "got an anchor or alias"),
        (f"train:\n  seed: {'[' * 20000}", "nested at most"),
        (f"train:\n  seed: {'{a: ' * 5000}", "nested at most"),
        ("train:\n  seed: 2001-99-99", "must be a whole number, got '2001-99-99'"),
        ("train:\n  seed: 2001-01-01", "must be a whole number, got '2001-01-01'"),
        ("train:\n  seed: 0x_", "a value that cannot be read"),
        ("train:\n  seed: 4294967296", "train.seed: must be at most 4294967295"),
        (f"train:\n  seed: {'9' * 5000}", "a value that cannot be read"),
        (f"train:\n  batch_size: -{'9' * 300}", "must be at most 9,007,199,254,740,992 in size"),
        (f"loss:\n  render: {'9' * 4000}", "loss.render: must be finite"),
        ("train:\n  epochs: 1e400", "train.epochs: must be a whole number"),
        ("loss:\n  render: 1e400", "must be finite"),
        ("loss:\n  render: !!timestamp x", "a value that cannot be read"),
        ("gan:\n  enabled: !!bool maybe", "a value that cannot be read"),
        ("train:\n  seed: !!python/object/apply:os.system [id]", "must be YAML"),
        ("texture:\n  factors: [-4]", "texture.factors: must be at least 2, got -4"),
        ('train:\n  suffix: "../../x"', "train.suffix: must be a plain file name, got '../../x'"),
        ('train:\n  suffix: "a\\0b"', "must be a text without control characters"),
        (f"train:\n  suffix: {'x' * 300}", "train.suffix: must be a plain file name, got 'xxx"),
        ("? [a]\n: {b: 1}", "must be YAML"),
        ("train:\n  seed: {a: 1}", "must be a whole number, got a dict of 1"),
        ("#" * 200_000, "of at most 100,000 bytes, got 200,000"),
    ],
)
def test_a_hostile_file_is_one_short_line_at_once(tmp_path, text, message):
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        schema.load(path)
    assert time.process_time() - started < 1
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", ["[" * 5000, "&a [1]", "2001-99-99", "9" * 5000, "0x_", "-1", str(2**64)])
def test_a_hostile_value_on_the_command_line_is_one_line(value):
    with pytest.raises(UserError, match=r"train\.seed: ") as caught:
        schema.load(overrides=[f"train.seed={value}"])
    assert len(str(caught.value)) < 600


HOSTILE = [
    -1, 0, 1.5, -1e308, 2**31, 2**32, 2**64, 10**4000, True, None, "", "x" * 1000, "a\0b", "\ud800", "../x", [], [[]],
    {}, [2**70] * 4, ["x\n"], "nan", "0x_", "1e999",
]  # fmt: skip


def test_no_value_of_any_option_is_worse_than_one_line():
    """`load` with one changed value, without reading the files again."""
    config = schema.load()
    refused: list[tuple[str, str]] = []
    for section, kind in schema.section_types().items():
        for name, wanted in get_type_hints(kind).items():
            for value in HOSTILE:
                try:
                    converted = schema._convert(value, wanted, f"{section}.{name}")
                    dataclasses.replace(getattr(config, section), **{name: converted})
                except UserError as error:
                    refused.append((section, str(error)))
    assert len(refused) > 1000
    for section, message in refused:
        assert message.startswith(f"{section}.")
        assert len(message.splitlines()) == 1
        assert len(message) < 600


def test_what_people_write_is_read():
    text = "a: {b: [1, 2.5, -3], c: true, d: 'x: y', e: null}\nf: 0x10\n"
    assert plain_yaml.parse(text) == {"a": {"b": [1, 2.5, -3], "c": True, "d": "x: y", "e": None}, "f": 16}
    assert plain_yaml.parse("2001-01-01") == "2001-01-01"


def test_what_is_read_again_is_not_what_a_caller_changed():
    plain_yaml.parse("a: {b: [1]}")["a"]["b"].append(2)
    assert plain_yaml.parse("a: {b: [1]}") == {"a": {"b": [1]}}
