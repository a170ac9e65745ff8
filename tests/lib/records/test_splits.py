"""The split by file name: proportions, stability under added files, tiny sets, files."""

import itertools

import pytest

from lib.errors import UserError
from lib.records.splits import CHECKSUMS, PARTS, load_split, save_split, split

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


def test_repeats_stay_together_and_move_nothing_else():
    repeats = {f"copy_{i}_of_{name}": name for name in names(300) for i in range(2)}
    parts = split([*names(300), *repeats], TENTHS, 0, repeats)
    alone = split(names(300), TENTHS, 0)
    for part in PARTS:
        members = set(parts[part])
        assert members == set(alone[part]) | {repeat for repeat, first in repeats.items() if first in members}
        assert parts[part] == sorted(members)
    same = dict.fromkeys(["b", "c", "d"], "a")
    assert split(["a", *same, "e"], TENTHS, 0, same) in (
        {"train": ["a", "b", "c", "d"], "val": ["e"], "test": []}, {"train": ["e"], "val": ["a", *same], "test": []},
    )  # fmt: skip
    assert split(["a", *same], TENTHS, 0, same)["val"] == [], "four files, but one image"


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="names must be unique, got 'a' twice"):
        split(["a", "b", "a"], TENTHS, 0)
    with pytest.raises(ValueError, match="together below 1"):
        split(["a", "b"], {"val": 0.5, "test": 0.5}, 0)


def saved(folder, count=40):
    parts = split(["ä b.png", *names(count)], TENTHS, seed=0)
    save_split(folder, parts)
    return parts, sorted(itertools.chain(*parts.values()))


def test_files_round_trip(tmp_path):
    parts, everyone = saved(tmp_path / "params")
    assert load_split(tmp_path / "params", everyone) == parts
    assert (tmp_path / "params" / "image_train.txt").read_text(encoding="utf-8").count("\n") == len(parts["train"])


def test_missing_empty_or_overlapping_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"image_train.txt: must list the train images, got no file"):
        load_split(tmp_path, ["a"])
    save_split(tmp_path, {"train": [], "val": ["a"], "test": ["b"]})
    with pytest.raises(UserError, match="at least one image, got none"):
        load_split(tmp_path, ["a", "b"])
    save_split(tmp_path, {"train": ["a"], "val": ["a"], "test": ["b"]})
    with pytest.raises(UserError, match="got 'a' in train and val"):
        load_split(tmp_path, ["a", "b"])


DAMAGE = {
    "truncated": lambda content: content[: len(content) // 2],
    "a line less": lambda content: content[: content.index(b"\n") + 1],
    "empty": lambda content: b"",
    "no end": lambda content: content[:-1],
    "a flipped bit": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "a line more": lambda content: content + b"face_000099.png\n",
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_refused_with_and_without_checksums(tmp_path, part, damage):
    _, everyone = saved(tmp_path)
    path = tmp_path / f"image_{part}.txt"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(UserError, match=f"image_{part}.txt: the split does not belong to the record file"):
        load_split(tmp_path, everyone)
    (tmp_path / CHECKSUMS).unlink()
    if damage == "no end":
        load_split(tmp_path, everyone)  # nothing is missing
        return
    with pytest.raises(UserError, match=r"does not belong to the record file|at least one image"):
        load_split(tmp_path, everyone)


def test_a_split_of_an_earlier_version_is_read_if_it_is_complete(tmp_path):
    parts, everyone = saved(tmp_path)
    (tmp_path / CHECKSUMS).unlink()
    assert load_split(tmp_path, everyone) == parts
    windows = (tmp_path / "image_val.txt").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "image_val.txt").write_bytes(windows)
    assert load_split(tmp_path, everyone) == parts


def test_a_split_of_other_records_is_refused(tmp_path):
    _, everyone = saved(tmp_path)
    with pytest.raises(UserError, match=r"to the record file, it lists 'face_0000.*, which is not a record"):
        load_split(tmp_path, everyone[:-3])
    with pytest.raises(UserError, match=r"does not belong to the record file, 2 records are in no part, first 'new_1'"):
        load_split(tmp_path, [*everyone, "new_1", "new_2"])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"sha256": {}}', b"\xff"])
def test_damaged_checksums_are_named(tmp_path, content):
    _, everyone = saved(tmp_path)
    (tmp_path / CHECKSUMS).write_bytes(content)
    with pytest.raises(UserError, match=r"split\.json: must hold the split's checksums"):
        load_split(tmp_path, everyone)
