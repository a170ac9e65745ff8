"""create_bin.py --shard, --merge and --index: the bytes of one process, or the same records without a copy."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import create_bin
from lib.errors import UserError
from lib.files.json_files import with_checksum, without_checksum, write_json
from lib.files.locks import sole_user, sole_writer
from lib.records.record_file import RecordReader
from lib.records.record_index import open_records, write_index
from lib.records.splits import load_split
from tests.programs.test_create_bin import SIZE, crop, folder_of_crops, run
from tests.support.programs.one_line import one_line

COUNT = 3


@pytest.fixture
def folder(tmp_path):
    """Eleven crops: one grey, one without alpha, and a repeated one in another shard than the first."""
    folder = folder_of_crops(tmp_path / "crops", 11)
    Image.new("RGB", (SIZE, SIZE)).save(folder / "004.png")
    Image.fromarray(crop(0)).save(folder / "009.png")
    (folder / "010\x07.png").write_bytes((folder / "001.png").read_bytes())
    return folder


def pack_all(root, folder, *arguments):
    for index in range(COUNT):
        assert run(root, "--input", str(folder), "--shard", f"{index}/{COUNT}", *arguments) == 0


def without_seconds(path) -> dict:
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}


def test_merged_shards_are_the_file_of_one_process(folder, tmp_path, capsys):
    one, many = tmp_path / "one", tmp_path / "many"
    assert run(one, "--input", str(folder)) == 0
    pack_all(many, folder)
    assert run(many, "--input", str(folder), "--shard", f"1/{COUNT}") == 0, "again, as a scheduler may"
    assert run(many, "--merge") == 0
    assert (one / "data" / "face.bin").read_bytes() == (many / "data" / "face.bin").read_bytes()
    manifests = [without_seconds(root / "data" / "face.manifest.json") for root in (one, many)]
    assert manifests[0] == manifests[1]
    assert len(manifests[0]["left_out"]) == 2
    assert {"name": "009.png", "reason": "the same pixels as 000.png"} in manifests[0]["suspicious"]
    for name in ("image_train.txt", "image_val.txt", "image_test.txt", "split.json"):
        assert len({(root / "data" / "params" / "face" / name).read_bytes() for root in (one, many)}) == 1


def test_an_index_reads_the_shards_as_one_file(folder, tmp_path, capsys):
    pack_all(tmp_path, folder)
    assert run(tmp_path, "--index") == 0
    index = tmp_path / "data" / "face.shards" / "index.json"
    command = capsys.readouterr().out.splitlines()[-1]
    assert command.endswith(f" --name face --root_dir {tmp_path} --img_size {SIZE} data.records={index}")
    found = open_records(index, SIZE)
    parts = load_split(tmp_path / "data" / "params" / "face", found.names)
    assert found.repeats() == {"009.png": "000.png"}, "of another shard"
    assert any({"000.png", "009.png"} <= set(part) for part in parts.values()), "neither trained on and held out"
    assert run(tmp_path, "--merge") == 0
    merged = RecordReader(tmp_path / "data" / "face.bin")
    assert (found.names, found.shape, found.fingerprint) == (merged.names, merged.shape, merged.fingerprint)
    order = [9, 0, 4, -1, 3, 3]
    np.testing.assert_array_equal(found.batch(order), merged.batch(order))
    assert found.verify() == []
    assert run(tmp_path, "--verify", str(index)) == 0

    # One byte of a pixel of the second shard, and then that shard packed anew from other crops.
    shard = tmp_path / "data" / "face.shards" / f"00001-of-0000{COUNT}.bin"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    assert run(tmp_path, "--verify", str(index)) == 1
    Image.fromarray(crop(77)).save(folder / "005.png")
    assert run(tmp_path, "--input", str(folder), "--shard", f"1/{COUNT}") == 0
    with pytest.raises(UserError, match=r"00001-of-00003\.bin: must be the file that index\.json names"):
        open_records(index, SIZE)


def test_an_index_elsewhere_leaves_the_split_of_a_data_set_alone(folder, tmp_path, capsys):
    elsewhere = ("--output", str(tmp_path / "disk" / "face.bin"))
    pack_all(tmp_path, folder, *elsewhere)
    assert run(tmp_path, "--index", *elsewhere, f"data.image_size={SIZE}", "loss.symmetry=0.1") == 0
    command = capsys.readouterr().out.splitlines()[-1]
    assert f" loss.symmetry=0.1 data.records={tmp_path / 'disk' / 'face.shards'}" in command
    assert run(tmp_path, "--index", *elsewhere, "data.name=other") == 0
    command = capsys.readouterr().out.splitlines()[-1]
    assert " --name other " in command
    assert "data.name" not in command
    few = folder_of_crops(tmp_path / "few", 5)
    assert run(tmp_path, "--input", str(few)) == 0
    split = (tmp_path / "data" / "params" / "face" / "image_train.txt").read_bytes()
    assert run(tmp_path, "--index", *elsewhere) == 2
    assert "must come with a --name of its own, got face" in capsys.readouterr().err
    assert (tmp_path / "data" / "params" / "face" / "image_train.txt").read_bytes() == split


def test_an_index_is_replaced_only_by_one_that_can_be_read(folder, tmp_path, capsys):
    pack_all(tmp_path, folder)
    assert run(tmp_path, "--index") == 0
    shards = tmp_path / "data" / "face.shards"
    before = (shards / "index.json").read_bytes()
    first, second, _ = sorted(shards.glob("*.bin"))
    with pytest.raises(UserError, match="names must be unique across its files"):
        write_index(shards / "index.json", [first, second, first])
    assert (shards / "index.json").read_bytes() == before
    assert open_records(shards / "index.json").names


def test_an_index_is_converted_as_a_record_file_is(folder, tmp_path):
    pack_all(tmp_path, folder)
    assert run(tmp_path, "--index") == 0
    index = tmp_path / "data" / "face.shards" / "index.json"
    assert run(tmp_path, "--input", str(index), "--name", "one") == 0
    assert RecordReader(tmp_path / "data" / "one.bin").fingerprint == open_records(index).fingerprint


def test_shards_may_name_their_folder_in_several_ways(folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate((folder, "crops", "link/../link")):
        assert run(tmp_path, "--input", str(name), "--shard", f"{index}/{COUNT}") == 0
    assert run(tmp_path, "--merge") == 0


def test_shards_may_be_packed_where_the_folder_is_mounted_elsewhere(folder, tmp_path, capsys):
    """Those of earlier versions, too, of which the recipe held the folder."""
    places = [folder, tmp_path / "mnt" / "crops", tmp_path / "nfs" / "faces"]
    for place in places[1:]:
        shutil.copytree(folder, place)
    for index, place in enumerate(places):
        assert run(tmp_path, "--input", str(place), "--shard", f"{index}/{COUNT}") == 0
    manifest = tmp_path / "data" / "face.shards" / f"00001-of-0000{COUNT}.manifest.json"
    content = without_checksum(json.loads(manifest.read_text()))
    content["recipe"]["source"] = str(places[1])
    write_json(manifest, with_checksum(content))
    assert run(tmp_path, "--merge") == 0
    assert len(RecordReader(tmp_path / "data" / "face.bin").names) == 10
    assert without_seconds(tmp_path / "data" / "face.manifest.json")["source"] == str(folder)


def test_what_is_missing_or_mixed_is_refused(folder, tmp_path, capsys):
    root = ["--root_dir", tmp_path, "--img_size", SIZE]
    for index in (0, 2):
        assert run(tmp_path, "--input", str(folder), "--shard", f"{index}/{COUNT}") == 0
    capsys.readouterr()
    for join in ("--merge", "--index"):
        assert "must hold all 3 shards, got 2; missing: 1" in one_line(create_bin.main, [*root, join], capsys)
    Image.fromarray(crop(5)).save(folder / "new.png")
    assert run(tmp_path, "--input", str(folder), "--shard", f"1/{COUNT}") == 0
    capsys.readouterr()
    line = one_line(create_bin.main, [*root, "--merge"], capsys)
    assert "00001-of-00003.manifest.json: must be made like 00000-of-00003.manifest.json, got another list of" in line
    assert not (tmp_path / "data" / "face.bin").exists()


def test_a_shard_without_good_crops_is_a_shard(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 2)
    (folder / "000.png").write_bytes(b"no picture")
    pack_all(tmp_path, folder)
    assert run(tmp_path, "--merge") == 0
    assert RecordReader(tmp_path / "data" / "face.bin").names == ["001.png"]
    assert run(tmp_path, "--index") == 0
    assert open_records(tmp_path / "data" / "face.shards" / "index.json", SIZE).names == ["001.png"]


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"format": "record-index-1", "shards": []}', '{"format": "record-index-1", "shards": [1]}']
)
def test_a_damaged_index_is_named(tmp_path, content):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match=r"index\.json: must be an index in the form record-index-1"):
        open_records(tmp_path / "index.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/2"], "--shard must come with --input and a folder"),
        (["--merge", "--input", "x"], "--merge and --index must come without --input"),
        (["--merge", "--index"], "not allowed with argument"),
    ],
)
def test_a_command_that_makes_no_sense_is_one_line(tmp_path, capsys, arguments, message):
    assert message in one_line(create_bin.main, ["--root_dir", tmp_path, *arguments], capsys)


@pytest.mark.parametrize("flag", ["--merge", "--index"])
def test_shards_are_not_joined_while_one_is_packed_again(folder, tmp_path, capsys, flag):
    pack_all(tmp_path, folder)
    shards = tmp_path / "data" / "face.shards"
    with sole_writer(shards / f"00001-of-0000{COUNT}", "packing shard 1/3"):
        assert run(tmp_path, flag) == 2
    assert "must be used by one run at a time, got packing shard 1/3 by process" in capsys.readouterr().err
    with sole_user(shards, "joining shards"):
        assert run(tmp_path, "--input", str(folder), "--shard", f"1/{COUNT}") == 2
    assert "got joining shards by process" in capsys.readouterr().err
    assert run(tmp_path, flag) == 0
