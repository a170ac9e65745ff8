"""Division into shards: every item in one of them, and a merge that misses none and mixes nothing."""

import pytest

from lib.errors import UserError
from lib.files.shards import Shard, check_same_recipe, finished, names_digest


@pytest.mark.parametrize(("items", "count"), [(10, 1), (10, 3), (10, 10), (2, 5), (0, 2)])
def test_the_parts_in_sequence_are_the_whole(items, count):
    parts = [Shard(index, count).part(range(items)) for index in range(count)]
    assert [item for part in parts for item in part] == list(range(items))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "1/0", "a/b", "0/100001", "1/4/2", "", "٣/٤"])
def test_another_form_is_refused(text):
    with pytest.raises(UserError, match="--shard must be I/N with 0 <= I < N"):
        Shard.parse(text)


def test_results_are_found_in_order_and_gaps_are_named(tmp_path):
    with pytest.raises(UserError, match="got none"):
        finished(tmp_path / "missing", ".json")
    for index in (2, 0):
        (tmp_path / f"{Shard(index, 4).name}.json").touch()
    (tmp_path / "index.json").touch()
    with pytest.raises(UserError, match=r"must hold all 4 shards, got 2; missing: 1, 3 \(run .* --shard 1/4\)"):
        finished(tmp_path, ".json")
    for index in (1, 3):
        (tmp_path / f"{Shard(index, 4).name}.json").touch()
    assert finished(tmp_path, ".json") == [tmp_path / f"0000{index}-of-00004.json" for index in range(4)]
    (tmp_path / f"{Shard.parse('0/2').name}.json").touch()
    with pytest.raises(UserError, match="one division, got some of 2 and of 4"):
        finished(tmp_path, ".json")


def test_another_recipe_is_named(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    same = {"options": "1", "photos": names_digest(["x", "y"])}
    assert check_same_recipe({a: same, b: dict(same)}) == same
    with pytest.raises(UserError, match="b: must be made like a, got another photos"):
        check_same_recipe({a: same, b: same | {"photos": names_digest(["x"])}})
