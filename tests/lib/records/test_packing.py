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
from lib.records.packing import BadImage, PngFolder, file_names, pack, read_crop
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


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_failing_system_ends_the_run_and_names_the_file(folder, monkeypatch, number):
    fail(monkeypatch, Image, "open", number)
    with pytest.raises(UserError, match=rf"a\.png: must be readable, got: {os.strerror(number)}"):
        read_crop(folder / "a.png", SIDE)
