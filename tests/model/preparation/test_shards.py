"""--mode prepare in shards whose photos change, move to another shard, or are gone."""

import os

import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.files.shards import Shard
from model.preparation import shards
from model.preparation.report import crop_files
from model.preparation.shards import merge_shards, prepare_shard
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import preparer_loaded_once


@pytest.fixture(scope="module", autouse=True)
def prepare_once_loaded():
    with preparer_loaded_once():
        yield


def show_two(*paths):
    """Writes a photo of two faces."""
    wide = Image.new("RGB", (700, 300))
    wide.paste(portrait(), (0, 0))
    wide.paste(portrait().transpose(Image.Transpose.FLIP_LEFT_RIGHT), (400, 0))
    for path in paths:
        wide.save(path)


def test_crops_of_photos_that_are_gone_are_not_merged(tmp_path):
    """Also if their shard has run again since, or does not look after them any longer."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    show_two(*(source / f"{name}.png" for name in "abc"))
    every = schema.load(overrides={"data.workers": 1, "prepare.faces": "all"})
    largest = schema.load(overrides={"data.workers": 1})
    for index in range(2):
        prepare_shard(every, source, output, Shard(index, 2))
    assert len(list((output / "crops").iterdir())) == 6
    (source / "b.png").unlink()
    show_two(source / "d.png")
    for _ in range(2):
        for index in range(2):
            prepare_shard(largest, source, output, Shard(index, 2))
    assert merge_shards(largest, source, output) == {}
    assert sorted(path.name for path in (output / "crops").iterdir()) == ["a.png", "c.png", "d.png"]


def test_a_journal_of_another_folders_division_does_not_stop_a_merge(tmp_path, capsys):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    portrait().save(source / "a.png")
    config = schema.load(overrides={"data.workers": 1})
    prepare_shard(config, source, output, Shard(0, 1))
    given_up = output / ".shards" / "00000-of-00009.jsonl"
    given_up.write_text('{"of": "something else"}\n', encoding="utf-8")
    assert merge_shards(config, source, output) == {}
    assert f"{given_up}: must be " in capsys.readouterr().err
    assert (output / "crops" / "a.png").is_file()


def test_each_journal_of_a_shard_costs_its_own_records_when_shards_are_merged(tmp_path, monkeypatch):
    """Not those of all photos, of which there may be a million, for each of a thousand journals."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    show_two(source / "a.png", source / "b.png")
    config = schema.load(overrides={"data.workers": 1})
    for index in range(2):
        prepare_shard(config, source, output, Shard(index, 2))
    for index in range(9):
        (output / ".shards" / f"0000{index}-of-00009.jsonl").write_bytes(
            (output / ".shards" / "00000-of-00002.jsonl").read_bytes()
        )
    passed = []

    def counted(records):
        records = list(records)
        passed.extend(records)
        return crop_files(records)

    monkeypatch.setattr(shards, "crop_files", counted)
    assert merge_shards(config, source, output) == {}
    assert len(passed) == 11
    assert sorted(path.name for path in (output / "crops").iterdir()) == ["a.png", "b.png"]


def test_a_photo_that_changed_after_its_shard_is_named(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    show_two(source / "two.png")
    config = schema.load(overrides={"data.workers": 1})
    for index in range(2):
        prepare_shard(config, source, output, Shard(index, 2))
    os.utime(source / "two.png", ns=(1, 1))
    with pytest.raises(UserError, match=r"two\.png: must be as its shard left it.*--shard 1/2 again"):
        merge_shards(config, source, output)
