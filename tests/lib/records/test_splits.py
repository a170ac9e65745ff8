"""The split by file name: proportions, stability under added files, tiny sets, files."""

import itertools

import pytest

from lib.errors import UserError
from lib.records.splits import PARTS, load_split, save_split, split

TENTHS = {"val": 0.1, "test": 0.1}
EXPECTED = {"val": ["face_000007.png"], "test": ["face_000004.png", "face_000005.png"]}


def names(count: int) -> list[str]:
    return [f"face_{i:06d}.png" for i in range(count)]


def test_every_name_is_in_one_part_and_the_shares_hold():
    parts = split(names(20000), TENTHS, seed=0)
    assert sorted(itertools.chain(*parts.values())) == names(20000)
    # Binomial: three standard deviations of 20,000 x 0.1 are 127.
    assert len(parts["val"]) == pytest.approx(2000, abs=127)
    assert len(parts["test"]) == pytest.approx(2000, abs=127)


def test_order_and_further_files_move_nothing():
    small, large = split(names(2000), TENTHS, seed=3), split(names(5000)[::-1], TENTHS, seed=3)
    for part in PARTS:
        assert set(small[part]) <= set(large[part])
        assert small[part] == sorted(small[part])


def test_seeds_are_independent_and_repeatable():
    a, b = (set(split(names(5000), TENTHS, seed)["test"]) for seed in (0, 1))
    assert a == set(split(names(5000), TENTHS, 0)["test"])
    assert len(a & b) == pytest.approx(50, abs=25)


def test_the_assignment_is_fixed_for_ever():
    # A run's held-out faces must stay held out in later releases.
    parts = split(names(12), TENTHS, seed=0)
    assert parts["val"] == EXPECTED["val"]
    assert parts["test"] == EXPECTED["test"]


@pytest.mark.parametrize("count", range(11))
def test_tiny_sets_fill_every_part_they_can(count):
    for seed in range(50):
        parts = split(names(count), TENTHS, seed)
        assert sorted(itertools.chain(*parts.values())) == names(count)
        filled = [bool(parts[part]) for part in PARTS]
        assert filled == [count >= 1, count >= 2, count >= 3], f"seed {seed}"


def test_a_part_that_is_not_wanted_stays_empty():
    parts = split(names(5), {"val": 0.0, "test": 0.2}, seed=0)
    assert parts["val"] == []
    assert parts["test"]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="names must be unique, got 'a' twice"):
        split(["a", "b", "a"], TENTHS, 0)
    with pytest.raises(ValueError, match="together below 1"):
        split(["a", "b"], {"val": 0.5, "test": 0.5}, 0)


def test_files_round_trip(tmp_path):
    parts = split(["ä b.png", *names(9)], TENTHS, seed=0)
    save_split(tmp_path / "params", parts)
    assert load_split(tmp_path / "params") == parts
    assert (tmp_path / "params" / "image_train.txt").read_text(encoding="utf-8").count("\n") == len(parts["train"])


def test_missing_empty_or_overlapping_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"image_train.txt: must list the train images, got no file"):
        load_split(tmp_path)
    save_split(tmp_path, {"train": [], "val": ["a"], "test": ["b"]})
    with pytest.raises(UserError, match="at least one image, got none"):
        load_split(tmp_path)
    save_split(tmp_path, {"train": ["a"], "val": ["a"], "test": ["b"]})
    with pytest.raises(UserError, match="got 'a' in train and val"):
        load_split(tmp_path)
