"""create_bin.py: good and bad images, manifest, splits, --strict, --verify, conversion of the original's file."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from PIL import Image

import create_bin
from configs import flags
from lib.errors import UserError
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import load_split
from tests.support.helpers import ROOT

SIZE = 32


def crop(seed: int, size: int = SIZE) -> np.ndarray:
    rgba = np.random.default_rng(seed).integers(0, 256, (size, size, 4), np.uint8)
    rgba[..., 3] = 255 * (rgba[..., 3] > 99)
    return rgba


def folder_of_crops(path: Path, count: int) -> Path:
    path.mkdir()
    for i in range(count):
        Image.fromarray(crop(i)).save(path / f"{i:03d}.png")
    return path


def run(tmp_path: Path, *arguments: str) -> int:
    """Exit code of create_bin.py with a root folder in tmp_path and small images."""
    command = ["--root_dir", str(tmp_path), "--img_size", str(SIZE), "--workers", "2", *arguments]
    return flags.run(lambda: create_bin.main(command), "")


def test_what_is_called_a_png_is_never_left_out_silently(tmp_path):
    folder = folder_of_crops(tmp_path / "crops", 20)
    (folder / "folder.png").mkdir()
    (folder / "link.png").symlink_to("nothing")
    os.mkfifo(folder / "pipe.PNG")
    assert run(tmp_path, "--input", str(folder), "--name", "mine") == 0
    left_out = json.loads((tmp_path / "data" / "mine.manifest.json").read_text())["left_out"]
    assert {entry["name"]: entry["reason"].partition("got ")[2] for entry in left_out} == {
        "folder.png": "a folder",
        "link.png": "a link to nothing",
        "pipe.PNG": "a pipe",
    }


def test_the_folder_around_the_crops_is_told_from_theirs(tmp_path, capsys):
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "prepared.json").write_text("{}")
    folder_of_crops(tmp_path / "prepared" / "crops", 1)
    assert run(tmp_path, "--input", str(tmp_path / "prepared"), "--name", "mine") == 2
    assert f"got none (did you mean {tmp_path / 'prepared' / 'crops'}?)" in capsys.readouterr().err


def test_a_folder_becomes_a_file_a_manifest_and_a_split(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 20)
    assert run(tmp_path, "--input", str(folder), "--name", "mine") == 0
    reader = RecordReader(tmp_path / "data" / "mine.bin", SIZE)
    assert reader.names == [f"{i:03d}.png" for i in range(20)]
    for i in (0, 7, 19):
        np.testing.assert_array_equal(reader[i], crop(i))
    parts = load_split(tmp_path / "data" / "params" / "mine", reader.names)
    assert sorted(parts["train"] + parts["val"] + parts["test"]) == reader.names
    assert min(len(part) for part in parts.values()) >= 1
    manifest = json.loads((tmp_path / "data" / "mine.manifest.json").read_text())
    assert manifest["count"] == 20
    assert manifest["left_out"] == []
    assert "mine.bin: 20 crops" in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path / "data")) == ["mine.bin", "mine.manifest.json", "params"]


def test_another_output_leaves_the_split_alone(tmp_path, capsys):
    assert run(tmp_path, "--input", str(folder_of_crops(tmp_path / "crops", 10))) == 0
    params = tmp_path / "data" / "params" / "face"
    names = RecordReader(tmp_path / "data" / "face.bin").names
    split = load_split(params, names)
    few, other = folder_of_crops(tmp_path / "few", 3), tmp_path / "elsewhere" / "few.bin"
    capsys.readouterr()
    assert run(tmp_path, "--input", str(few), "--output", str(other)) == 0
    assert len(RecordReader(other)) == 3
    assert load_split(params, names) == split, "it belongs to data/face.bin"
    assert "few.bin: 3 crops, not split" in capsys.readouterr().out
    assert run(tmp_path, "--input", str(few), "--output", str(tmp_path / "data" / ".." / "data" / "face.bin")) == 0
    assert sum(map(len, load_split(params, names[:3]).values())) == 3, "the same file, spelled apart"


def spoil(folder: Path) -> dict[str, str]:
    """Adds bad files; returns a part of each one's reason."""
    Image.fromarray(crop(0)[..., :3]).save(folder / "a_rgb.png")
    Image.fromarray(crop(0)[..., 0]).save(folder / "b_grey.png")
    Image.fromarray(crop(0, 40)).save(folder / "c_large.png")
    whole = (folder / "000.png").read_bytes()
    (folder / "d_truncated.png").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    (folder / "e_damaged.png").write_bytes(damaged)
    (folder / "f_empty.png").write_bytes(b"")
    (folder / "g_text.txt").write_text("hello")
    Image.fromarray(crop(0)[..., :3]).save(folder / "h_photo.jpg")
    blank = crop(0)
    blank[..., 3] = 0
    Image.fromarray(blank).save(folder / "i_no_skin.png")
    faint = crop(0)
    faint[..., 3] //= 255
    Image.fromarray(faint).save(folder / "i_zero_one.png")
    Image.fromarray(crop(0)).save(os.fsencode(folder) + b"/j_\xff.png")
    return {
        "a_rgb.png": "must be RGBA, got RGB",
        "b_grey.png": "must be RGBA, got L",
        "c_large.png": "must be 32 x 32 px, got 40 x 40",
        "d_truncated.png": "must be readable",
        "e_damaged.png": "must be readable",
        "f_empty.png": "must be a PNG",
        "g_text.txt": "must be a PNG",
        "h_photo.jpg": "must be a PNG",
        "i_no_skin.png": "alpha must mark some skin",
        "i_zero_one.png": "alpha must be 255 on skin, got at most 1 (a mask of 0 and 1? multiply it by 255)",
        "j_\\udcff.png": "must be UTF-8",
    }


def test_bad_images_are_left_out_with_a_reason(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 4)
    reasons = spoil(folder)
    assert run(tmp_path, "--input", str(folder)) == 0
    reader = RecordReader(tmp_path / "data" / "face.bin")
    assert reader.names == ["000.png", "001.png", "002.png", "003.png"]
    np.testing.assert_array_equal(reader[3], crop(3))
    manifest = json.loads((tmp_path / "data" / "face.manifest.json").read_text())
    found = {entry["name"]: entry["reason"] for entry in manifest["left_out"]}
    assert found.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in found[name]
    printed = capsys.readouterr().err
    assert "left out a_rgb.png: must be RGBA, got RGB" in printed


def test_crops_that_teach_nothing_are_packed_and_named(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 3)
    black, opaque, plain = crop(7), crop(8), crop(9)
    black[..., :3] = 3
    opaque[..., 3] = 255
    plain[..., :3] = 90
    for name, pixels in (("black", black), ("opaque", opaque), ("plain", plain), ("same", crop(1))):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    assert run(tmp_path, "--input", str(folder)) == 0
    expected = {
        "black.png": "the skin is black",
        "opaque.png": "alpha is 255 everywhere",
        "plain.png": "the skin has one colour",
        "same.png": "the same pixels as 001.png",
    }
    manifest = json.loads((tmp_path / "data" / "face.manifest.json").read_text())
    found = {entry["name"]: entry["reason"] for entry in manifest["suspicious"]}
    assert found.keys() == expected.keys()
    printed = capsys.readouterr()
    for name, reason in expected.items():
        assert found[name].startswith(reason)
        assert f"suspicious {name}: {reason}" in printed.err
    assert "; 1 repeated crop, in the part of the first\n" in printed.out
    reader = RecordReader(tmp_path / "data" / "face.bin")
    assert len(reader) == 7
    assert reader.repeats() == {"same.png": "001.png"}


def test_a_file_of_another_kind_is_not_replaced(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 3)
    photo = tmp_path / "holiday.jpg"
    photo.write_bytes(b"\xff\xd8\xff a photo")
    assert run(tmp_path, "--input", str(folder), "--output", str(photo)) == 2
    assert_one_error_line(capsys.readouterr().err, "holiday.jpg: must be a record file to be replaced")
    assert photo.read_bytes() == b"\xff\xd8\xff a photo"
    os.mkfifo(tmp_path / "pipe.bin")
    assert run(tmp_path, "--input", str(folder), "--output", str(tmp_path / "pipe.bin")) == 2
    assert_one_error_line(capsys.readouterr().err, "pipe.bin: must be a regular file to be replaced")
    assert run(tmp_path, "--input", str(folder)) == 0
    path = tmp_path / "data" / "face.bin"
    path.write_bytes(b"damaged" + path.read_bytes()[7:])
    assert run(tmp_path, "--input", str(folder)) == 0, "what this program made is made again"
    assert len(RecordReader(path)) == 3


def test_strict_fails_at_a_bad_image_and_keeps_the_earlier_file(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 4)
    assert run(tmp_path, "--input", str(folder)) == 0
    before = (tmp_path / "data" / "face.bin").read_bytes()
    spoil(folder)
    assert run(tmp_path, "--input", str(folder), "--strict") == 2
    assert_one_error_line(capsys.readouterr().err, "a_rgb.png: must be RGBA, got RGB")
    assert (tmp_path / "data" / "face.bin").read_bytes() == before
    assert sorted(os.listdir(tmp_path / "data")) == ["face.bin", "face.manifest.json", "params"]


def assert_one_error_line(stderr: str, text: str) -> None:
    """tqdm's bars end in a carriage return or a new line; only one line is an error, and nothing is a traceback."""
    errors = [line for line in stderr.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in errors[0]
    assert "Traceback" not in stderr


def test_nothing_good_is_an_error(tmp_path, capsys):
    folder = tmp_path / "crops"
    folder.mkdir()
    assert run(tmp_path, "--input", str(folder)) == 2
    assert_one_error_line(capsys.readouterr().err, "must hold RGBA PNGs, got an empty folder")
    (folder / "notes.txt").write_text("x")
    assert run(tmp_path, "--input", str(folder)) == 2
    assert_one_error_line(capsys.readouterr().err, "at least one image must be a 32 x 32 RGBA PNG, got 1 others")
    assert run(tmp_path, "--input", str(tmp_path / "missing")) == 2
    assert_one_error_line(capsys.readouterr().err, "got no such file")
    assert not (tmp_path / "data" / "face.bin").exists()


@pytest.mark.parametrize("flags", [["--input", "crops"], ["--output", "x.bin"], ["--merge"]])
def test_verify_packs_nothing_beside(flags):
    with pytest.raises(UserError, match="--verify must come alone"):
        create_bin.parse(["--verify", "face.bin", *flags])


@pytest.mark.parametrize("flags", [["--verify", "face.bin"], ["--index"]])
def test_strict_needs_something_to_be_strict_about(flags):
    with pytest.raises(UserError, match="--strict must come with a command that packs"):
        create_bin.parse(["--strict", *flags])


@pytest.mark.parametrize("flag", ["--config", "--input", "--output", "--verify", "--cluster"])
def test_an_empty_text_is_not_a_flag_that_was_not_given(flag):
    with pytest.raises(UserError, match=rf"{flag} must be (a path|local or an address), got an empty text"):
        create_bin.parse([f"{flag}="])


def test_verify_finds_one_flipped_byte(tmp_path, capsys):
    folder = folder_of_crops(tmp_path / "crops", 6)
    run(tmp_path, "--input", str(folder))
    path = tmp_path / "data" / "face.bin"
    assert run(tmp_path, "--verify", str(path)) == 0
    assert create_bin.main(["--verify", str(path)]) == 0, "whatever its size"
    (tmp_path / "large.yaml").write_text("data: {image_size: 64}\n")
    with pytest.raises(UserError, match="images must be 64 px, got"):
        create_bin.main(["--verify", str(path), "--config", str(tmp_path / "large.yaml")])
    assert "6 records of 32 x 32 x 4, complete and intact" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    content[content.index(crop(4).tobytes()) + 2000] ^= 1
    path.write_bytes(content)
    assert run(tmp_path, "--verify", str(path)) == 1
    captured = capsys.readouterr()
    assert "record 4 ('004.png') is damaged" in captured.err
    assert "1 damaged" in captured.out
    path.write_bytes(content[:-1])
    assert run(tmp_path, "--verify", str(path)) == 2
    assert_one_error_line(capsys.readouterr().err, "truncated")


def test_the_originals_file_is_verified_and_converted(tmp_path, capsys):
    crops = np.stack([crop(i) for i in range(5)])
    values = (crops / [127.5, 127.5, 127.5, 255.0] - [1.0, 1.0, 1.0, 0.0]).astype(np.float32)
    values[3, 0, 0, 0] = 7.0
    old = tmp_path / "CelebA_RGBA.bin"
    old.write_bytes(values.tobytes())
    assert run(tmp_path, "--verify", str(old)) == 1
    assert "record 3" in capsys.readouterr().err
    assert create_bin.main(["--verify", str(old), f"data.image_size={SIZE}"]) == 1, "as with --img_size"
    (tmp_path / "small.yaml").write_text(f"data: {{image_size: {SIZE}}}\n")
    assert create_bin.main(["--verify", str(old), "--config", str(tmp_path / "small.yaml")]) == 1, "here, too"
    assert run(tmp_path, "--input", str(old)) == 0
    reader = RecordReader(tmp_path / "data" / "face.bin", SIZE)
    assert reader.names == ["000000", "000001", "000002", "000004"]
    np.testing.assert_array_equal(reader.batch(range(4)), crops[[0, 1, 2, 4]])


def test_records_without_skin_are_left_out_as_images_are(tmp_path):
    crops = np.stack([crop(i) for i in range(3)])
    crops[1, ..., 3] //= 255
    values = (crops / [127.5, 127.5, 127.5, 255.0] - [1.0, 1.0, 1.0, 0.0]).astype(np.float32)
    (tmp_path / "old.bin").write_bytes(values.tobytes())
    assert run(tmp_path, "--input", str(tmp_path / "old.bin")) == 0
    (left_out,) = json.loads((tmp_path / "data" / "face.manifest.json").read_text())["left_out"]
    assert left_out == {"name": "000001", "reason": ANY}
    assert "alpha must be 255 on skin, got at most 1 (a mask of 0 and 1" in left_out["reason"]


@pytest.mark.parametrize(("number", "code"), [(errno.ESTALE, 2), (errno.EIO, 2), (errno.ENOENT, 0)])
def test_a_failing_system_ends_the_run_instead_of_leaving_crops_out(tmp_path, capsys, monkeypatch, number, code):
    folder = folder_of_crops(tmp_path / "crops", 6)
    opened = Image.open

    def failing(path, formats):
        if path.name in ("001.png", "002.png", "003.png"):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, formats=formats)

    monkeypatch.setattr(Image, "open", failing)
    assert run(tmp_path, "--input", str(folder)) == code
    assert os.strerror(number) in capsys.readouterr().err
    assert (tmp_path / "data" / "face.bin").exists() == (code == 0)


def test_an_output_without_a_suffix_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--output must have a suffix, such as \.bin, got data/face$"):
        create_bin.main(["--output", "data/face"])
    with pytest.raises(UserError, match=r"--output must not end in \.json, which marks an index .*, got data/z\.json$"):
        create_bin.main(["--output", "data/z.json"])


def test_files_of_other_suffixes_are_neither_replaced_nor_share_a_manifest(tmp_path, capsys):
    folder, data = folder_of_crops(tmp_path / "crops", 6), tmp_path / "data"
    assert run(tmp_path, "--input", str(folder)) == 0
    manifest = (data / "face.manifest.json").read_bytes()
    np.savez(data / "face.npz", somebody=np.arange(9))
    foreign = (data / "face.npz").read_bytes()
    capsys.readouterr()
    assert run(tmp_path, "--input", str(folder), "--output", str(data / "face.npz")) == 2
    assert_one_error_line(capsys.readouterr().err, "face.npz: must be a record file to be replaced")
    assert (data / "face.npz").read_bytes() == foreign
    assert run(tmp_path, "--input", str(folder), "--output", str(data / "face.dat")) == 0
    assert (data / "face.manifest.json").read_bytes() == manifest
    assert json.loads((data / "face.dat.manifest.json").read_text())["file"] == "face.dat"


def test_a_record_file_without_records_is_refused(tmp_path, capsys):
    with RecordWriter(tmp_path / "none.bin", (SIZE, SIZE, 4)):
        pass
    assert run(tmp_path, "--input", str(tmp_path / "none.bin")) == 2
    assert_one_error_line(capsys.readouterr().err, "none.bin: must hold at least one record, got none")


def test_the_program_itself_reports_in_one_line():
    done = subprocess.run(
        [sys.executable, "create_bin.py", "--inptu", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: unknown flag '--inptu'; did you mean '--input'?\n"
