"""Reading of crops: the fault of one file leaves it out, that of the system ends the run and names the file."""

import errno
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import create_bin
from lib.errors import UserError
from lib.records.crop_files import BadImage, file_names, read_crop
from lib.records.packing import PngFolder, pack
from lib.records.record_file import RecordReader

SIDE = 32


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (SIDE, SIDE, 4), np.uint8)
        pixels[..., 3] = 255
        Image.fromarray(pixels).save(folder / name)
    return folder


def fail(monkeypatch, owner, name, number):
    """Makes a function fail for a.png."""
    works = getattr(owner, name)

    def failing(path, *given, **options):
        if Path(path).name == "a.png":
            raise OSError(number, os.strerror(number), str(path))
        return works(path, *given, **options)

    monkeypatch.setattr(owner, name, failing)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR])
def test_a_crop_that_cannot_be_opened_is_left_out(folder, tmp_path, monkeypatch, number):
    fail(monkeypatch, Image, "open", number)
    packed = pack(PngFolder(folder, file_names(folder), SIDE), tmp_path / "a.bin", 1)
    assert packed.names == ["b.png"]
    assert os.strerror(number) in packed.left_out["a.png"]


def test_a_crop_whose_kind_may_not_be_known_is_left_out(folder, monkeypatch):
    """As of a link into a folder that is closed to this user."""
    fail(monkeypatch, Path, "is_file", errno.EACCES)
    assert file_names(folder) == ["a.png", "b.png"]
    with pytest.raises(BadImage, match=r"must be readable, got: .*Permission denied"):
        read_crop(folder / "a.png", SIDE)


def test_a_crop_with_a_broken_chunk_is_left_out(folder, tmp_path):
    """An empty colour profile whose checksum is right, at which Pillow raises an IndexError."""
    png = (folder / "a.png").read_bytes()
    chunk = bytes(4) + b"iCCP" + struct.pack(">I", zlib.crc32(b"iCCP"))
    (folder / "a.png").write_bytes(png[:-12] + chunk + png[-12:])  # behind the pixels
    packed = pack(PngFolder(folder, file_names(folder), SIDE), tmp_path / "a.bin", 1)
    assert packed.names == ["b.png"]
    assert packed.left_out["a.png"].startswith("must be readable, got: ")


@pytest.mark.parametrize("named", [False, True])
def test_the_record_file_behind_a_link_is_replaced_if_the_user_names_the_link(folder, tmp_path, named):
    (tmp_path / "store").mkdir()
    (tmp_path / "data").mkdir()
    stored, link = tmp_path / "store" / "mine.bin", tmp_path / "data" / "face.bin"
    stored.touch()
    link.symlink_to(stored)
    command = ["--root_dir", str(tmp_path), "--img_size", str(SIDE), "--input", str(folder)]
    assert create_bin.main([*command, *(["--output", str(link)] if named else [])]) == 0
    assert link.is_symlink() == named
    assert (stored.stat().st_size > 0) == named
    assert RecordReader(link).names == ["a.png", "b.png"]


def test_a_bad_sector_leaves_its_crop_out_and_several_in_a_row_end_the_run(folder, tmp_path, monkeypatch):
    opened, bad = Image.open, {"b.png"}

    def reading(path, *arguments, **more):
        if path.name in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *arguments, **more)

    for name in ("c.png", "d.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    monkeypatch.setattr(Image, "open", reading)
    source = PngFolder(folder, file_names(folder), SIDE)
    packed = pack(source, tmp_path / "a.bin", 1)
    assert packed.left_out == {"b.png": f"must be readable, got: {os.strerror(errno.EIO)}"}
    bad |= {"a.png", "c.png"}
    with pytest.raises(UserError, match=r"c\.png: must be readable, got: .* \(3 images in a row; run the same"):
        pack(source, tmp_path / "a.bin", 1)


def test_a_crop_that_can_be_read_after_all_is_packed(folder, monkeypatch):
    opened, failures = Image.open, iter([errno.EIO, errno.ESTALE])

    def reading(*arguments, **more):
        if number := next(failures, None):
            raise OSError(number, os.strerror(number))
        return opened(*arguments, **more)

    monkeypatch.setattr(Image, "open", reading)
    assert read_crop(folder / "a.png", SIDE).shape == (SIDE, SIDE, 4)


def test_no_file_is_looked_at_for_its_name(folder, monkeypatch):
    (folder / "folder.png").mkdir()
    (folder / "folder").mkdir()
    (folder / "notes.txt").touch()
    (folder / "loop").symlink_to(folder / "loop")
    monkeypatch.setattr(os.path, "isfile", lambda _: pytest.fail("on a network, each look takes a round trip"))
    assert file_names(folder) == ["a.png", "b.png", "folder.png", "notes.txt"]


@pytest.mark.parametrize("number", [errno.ENFILE, errno.EMFILE])
def test_a_failing_system_ends_the_run_and_names_the_file(folder, monkeypatch, number):
    fail(monkeypatch, Image, "open", number)
    with pytest.raises(UserError, match=rf"a\.png: must be readable, got: {os.strerror(number)}"):
        read_crop(folder / "a.png", SIDE)
