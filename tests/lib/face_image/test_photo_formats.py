"""Recognition of the photos among the files of a folder."""

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.face_image import photo_formats, photo_io

SMOOTH = np.add.outer(np.arange(48), np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)


@pytest.mark.parametrize(
    "name",
    ["a.jfif", "a.jpe", "a.avif", "a.jp2", "a.j2k", "a.tga", "a.pnm", "A.JFIF"],
)
def test_formats_that_pillow_knows_are_read(tmp_path, name):
    Image.fromarray(SMOOTH).save(tmp_path / name, **({"quality": 95} if name.lower().endswith(("jfif", "jpe")) else {}))
    assert photo_io.photo_paths(tmp_path) == [tmp_path / name]
    pixels = photo_io.read_photo(tmp_path / name).astype(int)
    assert np.abs(pixels - SMOOTH).mean() < 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("name", ["without_suffix", "name.jpg_large", "b.orig"])
def test_photos_of_other_names_are_recognised_by_their_content(tmp_path, form, name):
    Image.fromarray(SMOOTH).save(tmp_path / name, form)
    assert photo_io.photo_paths(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize(
    ("brands", "heif"),
    [
        (b"heic\0\0\0\0mif1heic", True),
        (b"mif1\0\0\0\0mif1heic", True),
        (b"avif\0\0\0\0avifmif1miaf", False),
        (b"mif1\0\0\0\0mif1avifmiaf", False),
    ],
)
def test_avif_in_the_container_of_heif_is_avif(tmp_path, brands, heif):
    """As some encoders write it: AVIF's own brand is among those that fit."""
    start = (8 + len(brands)).to_bytes(4) + b"ftyp" + brands
    (tmp_path / "a").write_bytes(start + b"\0\0\0\x20metaavif")
    assert photo_formats.is_heif(tmp_path / "a") == heif
    assert photo_formats.is_photo(tmp_path / "a")


def test_avif_with_the_brand_of_its_container_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_formats, "register_heif", lambda: False)
    Image.fromarray(SMOOTH).save(tmp_path / "a.avif")
    content = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(content[:8] + b"mif1" + content[12:])
    assert photo_io.read_photo(tmp_path / "a.avif").shape == SMOOTH.shape


def test_other_files_are_not_photos(tmp_path):
    for name, content in {"a.txt": b"1 2", "b": b"", "c.npy": b"\x93NUMPY", "d.mp4": b"\0\0\0\x18ftypmp42"}.items():
        (tmp_path / name).write_bytes(content)
        assert not photo_formats.is_photo(tmp_path / name)


def test_a_file_that_may_not_be_read_stops_no_folder(tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        Image.fromarray(SMOOTH).save(tmp_path / name)
    (tmp_path / "notes").write_bytes(b"private")
    opened = open

    def refused(path, *arguments, **options):
        if Path(path).name in ("a.png", "notes"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refused)
    assert photo_io.photo_paths(tmp_path) == [tmp_path / "a.png", tmp_path / "b.png"]
    for read in (photo_io.read_photo, photo_io.photo_size):
        with pytest.raises(UserError, match=r"a\.png: must be readable, got: Permission denied"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.NEF", "raw file"),
        *((f"a.{suffix}", "convert it") for suffix in ("jxl", "psd", "svg", "ico", "pcx", "im", "eps", "PDF")),
    ],
)
def test_photos_that_cannot_be_read_are_listed_and_say_why(tmp_path, name, reason):
    Image.fromarray(SMOOTH).save(tmp_path / name, "TIFF")  # raw files are TIFFs with a thumbnail in front
    assert photo_io.photo_paths(tmp_path) == [tmp_path / name]
    with pytest.raises(UserError, match=reason) as caught:
        photo_io.read_photo(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_heic_is_read_with_the_extra_package(tmp_path):
    pytest.importorskip("pillow_heif")
    assert photo_formats.register_heif()
    Image.fromarray(SMOOTH).save(tmp_path / "a.heic")
    assert photo_formats.is_heif(tmp_path / "a.heic")
    assert np.abs(photo_io.read_photo(tmp_path / "a.heic").astype(int) - SMOOTH).mean() < 3
    assert photo_io.photo_size(tmp_path / "a.heic") == SMOOTH.shape[:2]


def test_heic_without_the_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_formats, "register_heif", lambda: False)
    for name in ("a.heic", "renamed.jpg"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1")
        with pytest.raises(UserError, match=r"requirements-heic\.txt"):
            photo_io.read_photo(tmp_path / name)
    assert len(photo_io.photo_paths(tmp_path)) == 2


def test_one_file_is_an_input(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "a.png")
    Image.fromarray(SMOOTH).save(tmp_path / "b.png")
    assert photo_io.input_photos(tmp_path / "a.png") == (tmp_path, [tmp_path / "a.png"])
    assert photo_io.input_photos(tmp_path) == (tmp_path, [tmp_path / "a.png", tmp_path / "b.png"])
    (tmp_path / "c.txt").write_text("no image")
    with pytest.raises(UserError, match="must be an image"):
        photo_io.input_photos(tmp_path / "c.txt")
    (tmp_path / "d.MP4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(UserError, match=r"got a video \(--mode test takes it with --video\)"):
        photo_io.input_photos(tmp_path / "d.MP4")


def test_what_starts_other_programs_is_not_tried(tmp_path):
    """Pillow hands PostScript to Ghostscript."""
    Image.fromarray(SMOOTH).save(tmp_path / "a.eps", "EPS")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.eps").read_bytes())
    for name, found in {"a.eps": r"a \.eps file", "a.jpg": "a file in an unknown format"}.items():
        with pytest.raises(UserError, match=f"{name}: must be .*, got {found}"):
            photo_io.photo_size(tmp_path / name)


def test_every_suffix_that_is_read_belongs_to_a_format_that_is_tried():
    tried = {*photo_formats.pillow_formats(), "MPO"}
    Image.init()
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in photo_formats.READ} | {"HEIF"} >= tried - {"HEIF"}
    assert {known[suffix] for suffix in photo_formats.READ} <= tried
