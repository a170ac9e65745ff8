"""Photos of every kind become upright RGB bytes; what cannot be read is one clear line."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from lib.errors import UserError
from lib.face_image import photo_io
from tests.support.helpers import ROOT

RGB = np.random.default_rng(0).integers(0, 256, [6, 9, 3], dtype=np.uint8)


def saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.webp", "A.PNG"])
def test_lossless_formats_are_exact(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, Image.fromarray(RGB), name, **options)
    pixels = photo_io.read_photo(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RGB)


def test_jpeg_follows_the_orientation_tag(tmp_path):
    smooth = np.asarray(Image.fromarray(RGB).resize((90, 60), Image.Resampling.BICUBIC))
    image = Image.fromarray(smooth)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the row 0 is at the viewer's right
    rotated = photo_io.read_photo(saved(tmp_path, image, "rotated.jpg", exif=exif, quality=95))
    assert rotated.shape == (90, 60, 3)
    assert np.abs(rotated.astype(int) - np.rot90(smooth, -1)).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_becomes_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(RGB), "a.png", exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(photo_io.read_photo(path), upright)
    assert photo_io.photo_size(path) == upright.shape[:2]


def test_damaged_exif_costs_the_orientation_at_most(tmp_path, recwarn):
    """Cut off, with a wrong number of values, or of a kind that cannot be written again."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "camera"
    whole = saved(tmp_path, Image.fromarray(RGB), "a.jpg", exif=exif).read_bytes()
    begin = whole.index(b"Exif")
    assert photo_io.read_photo(tmp_path / "a.jpg").shape == (9, 6, 3)
    shapes = set()
    for place in range(begin + 6, begin + 50):
        for value in (0, 2, 255):
            (tmp_path / "a.jpg").write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            shapes.add(photo_io.read_photo(tmp_path / "a.jpg").shape)
            assert photo_io.photo_size(tmp_path / "a.jpg") == photo_io.read_photo(tmp_path / "a.jpg").shape[:2]
    assert shapes == {(9, 6, 3), (6, 9, 3)}
    assert not recwarn.list


def test_a_jpeg_of_several_pictures_may_be_as_large_as_one(tmp_path, monkeypatch):
    """Phones store a smaller picture behind the photo, which Pillow then calls MPO."""
    image = Image.fromarray(RGB)
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image])
    monkeypatch.setattr(photo_io, "MAX_PIXELS", 40)
    assert photo_io.read_photo(tmp_path / "a.jpg").shape == (6, 9, 3)


def test_grey_and_palette_become_rgb(tmp_path):
    grey = Image.fromarray(RGB[..., 0])
    np.testing.assert_array_equal(photo_io.read_photo(saved(tmp_path, grey, "g.png")), np.repeat(RGB[..., :1], 3, -1))
    palette = Image.fromarray(RGB).quantize(54)
    pixels = photo_io.read_photo(saved(tmp_path, palette, "p.png"))
    np.testing.assert_array_equal(pixels, np.asarray(palette.convert("RGB")))
    one_bit = Image.fromarray(RGB[..., 0]).convert("1")
    assert set(np.unique(photo_io.read_photo(saved(tmp_path, one_bit, "b.png")))) <= {0, 255}


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    pixels = photo_io.read_photo(saved(tmp_path, Image.fromarray(values), "deep.png"))
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 1, 128, 255])


def test_the_axis_a_of_lab_is_no_alpha(tmp_path):
    lab = Image.fromarray(np.full([6, 9, 3], 120, np.uint8)).convert("LAB")
    assert photo_io.read_photo(saved(tmp_path, lab, "lab.tiff")).shape == (6, 9, 3)


def test_cmyk_is_converted(tmp_path):
    white_black = np.zeros([8, 16, 4], np.uint8)
    white_black[:, 8:, 3] = 255
    pixels = photo_io.read_photo(saved(tmp_path, Image.fromarray(white_black, "CMYK"), "print.jpg"))
    assert pixels.shape == (8, 16, 3)
    assert pixels[:, :8].min() > 245
    assert pixels[:, 8:].max() < 10


def test_alpha_stays_and_colours_below_it_too(tmp_path):
    alpha = np.zeros([6, 9, 1], np.uint8)
    alpha[2:4] = 255
    rgba = np.concatenate([RGB, alpha], -1)
    pixels = photo_io.read_photo(saved(tmp_path, Image.fromarray(rgba), "mask.png"))
    np.testing.assert_array_equal(pixels, rgba)
    np.testing.assert_array_equal(photo_io.given_alpha(pixels), alpha[..., 0])
    # Grey with alpha, and a palette with a transparent entry, are transparency as well.
    grey = Image.fromarray(rgba[..., [0, 3]], "LA")
    assert photo_io.read_photo(saved(tmp_path, grey, "la.png")).shape == (6, 9, 4)
    palette = Image.fromarray(RGB).quantize(16)
    assert photo_io.read_photo(saved(tmp_path, palette, "t.png", transparency=3)).shape == (6, 9, 4)


def test_an_opaque_alpha_channel_is_no_mask():
    opaque = np.concatenate([RGB, np.full([6, 9, 1], 255, np.uint8)], -1)
    assert photo_io.given_alpha(opaque) is None
    assert photo_io.given_alpha(RGB) is None


def test_unreadable_files_are_one_line_naming_them(tmp_path):
    complete = saved(tmp_path, Image.fromarray(np.repeat(np.repeat(RGB, 40, 0), 40, 1)), "whole.png").read_bytes()
    cases = {
        "truncated.png": complete[: len(complete) // 2],
        "text.jpg": b"this is no image",
        "empty.png": b"",
        "header.png": complete[:20],
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name) as caught:
            photo_io.read_photo(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="must be an image, got an empty file"):
        photo_io.read_photo(tmp_path / "empty.png")
    (tmp_path / "broken.png").symlink_to("gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    places = {".": "a folder", "nowhere.png": "no such file", "broken.png": "a link to nothing", "pipe.png": "a pipe"}
    for name, found in places.items():
        with pytest.raises(UserError, match=f"must be an image file, got {found}"):
            photo_io.read_photo(tmp_path / name)


@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_is_named(tmp_path, channels):
    values = np.ones((8, 8, channels), np.float32).squeeze()
    assert cv2.imwrite(str(tmp_path / "a.tiff"), values)
    with pytest.raises(UserError, match="must be 8- or 16-bit integers, got floating point"):
        photo_io.read_photo(tmp_path / "a.tiff")


@pytest.mark.parametrize(("highest", "factor"), [(255, 1), (65535, 257)])
def test_grey_of_32_bits_has_the_range_of_8_or_16(tmp_path, highest, factor):
    grey = np.linspace(0, 255, 64).astype(np.int32).reshape(8, 8)
    path = saved(tmp_path, Image.fromarray(grey * factor), "a.tiff")
    assert (grey * factor).max() == highest
    np.testing.assert_array_equal(photo_io.read_photo(path)[..., 0], grey)


@pytest.mark.parametrize("limit", [40, 10])
def test_decompression_bombs_are_refused_before_decoding(tmp_path, monkeypatch, limit):
    path = saved(tmp_path, Image.fromarray(RGB), "bomb.png")
    monkeypatch.setattr(photo_io, "MAX_PIXELS", limit)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # at 10 Pillow itself raises, at 40 it only warns
    with pytest.raises(UserError, match=r"bomb\.png: must have at most"):
        photo_io.read_photo(path)


def test_folders(tmp_path):
    with pytest.raises(UserError, match="must hold photos"):
        photo_io.photo_paths(tmp_path)
    with pytest.raises(UserError, match="must be a folder"):
        photo_io.photo_paths(tmp_path / "missing")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    photos = ("b.png", "a.JPG", "e_mask.png", "in/deep/c.webp")
    for name in (*photos, "notes.txt", ".hidden.png", "out/d.png", "b_mask.png"):
        (tmp_path / name).write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in photo_io.photo_paths(tmp_path, skip=tmp_path / "out")]
    # b_mask.png is the mask of b.png; there is no e for e_mask.png to belong to.
    assert found == ["a.JPG", "b.png", "e_mask.png", "in/deep/c.webp"]


def test_results_of_nested_photos_have_names_of_their_own(tmp_path):
    names = ["a.jpg", "a.png", "A.webp", "b.c.png", "d.jpg", "d/e.jpg", "f/a.jpg", "a_png.jpg"]
    found = photo_io.result_names([tmp_path / name for name in names], tmp_path)
    assert [found[tmp_path / name] for name in names] == [
        "a_jpg", "a_png_", "A_webp", "b.c", "d_jpg", "d/e", "f/a", "a_png",
    ]  # fmt: skip
    assert len({name.casefold() for name in found.values()}) == len(names)
    named = photo_io.result_names([tmp_path / "Index.html.png", tmp_path / "b.png"], tmp_path, taken=("index.html",))
    assert list(named.values()) == ["Index_html_png", "b"]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_huge_photos_are_read_smaller(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", 5000)
    smooth = np.asarray(Image.fromarray(RGB).resize((300, 200), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.fromarray(smooth), f"huge.{suffix}", exif=exif, quality=95)
    pixels = photo_io.read_photo(path)
    assert pixels.shape == (75, 50, 3)
    expected = np.rot90(smooth.reshape(50, 4, 75, 4, 3).mean((1, 3)), -1)
    assert np.abs(pixels - expected).mean() < 3
    assert photo_io.photo_size(path) == (300, 200)


def test_a_jpeg_of_a_hundred_megapixels_takes_little_memory(tmp_path):
    """In a process of its own, whose peak memory tells; decoded whole, the photo alone would be 400 MB."""
    path = tmp_path / "huge.jpg"
    Image.new("RGB", (12500, 8000), (200, 150, 130)).save(path)
    *shape, megabytes = peak_of(path)
    assert shape == [4000, 6250, 3]
    assert megabytes < 400


def peak_of(path):
    """The shape of a photo, and the memory that reading it takes [MB].

    `resource.getrusage` would count the parent's memory, too: the peak before the program is started in its place.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    program = (
        "import re, sys; from pathlib import Path; from lib.face_image.photo_io import read_photo;"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]);"
        "before = peak(); shape = read_photo(sys.argv[1]).shape; print(*shape, (peak() - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return list(map(int, done.stdout.split()))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK", "1", "I;16"])
def test_large_photos_of_every_mode_are_means_of_their_pixels(tmp_path, monkeypatch, mode):
    grey = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 2, (20, 30)) * 255, 4, 0), 4, 1).astype(np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    if mode == "RGBA":
        image.putalpha(0)
    path = saved(tmp_path, image, "huge.tiff")
    whole = photo_io.read_photo(path)
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", 1000)
    pixels = photo_io.read_photo(path)
    assert pixels.shape == (20, 30, whole.shape[2])
    np.testing.assert_array_equal(pixels, whole[::4, ::4])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_large_photos_are_neither_brightened_nor_darkened(tmp_path, monkeypatch, mode):
    """Rows and columns that fill no block are left out."""
    values = np.random.default_rng(1).integers(0, 256, (83, 122, len(mode)), np.uint8)
    path = saved(tmp_path, Image.fromarray(values.squeeze(), mode), "huge.png")
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", 1000)
    pixels = photo_io.read_photo(path).astype(np.float64)
    means = values[:80, :120].reshape(20, 4, 30, 4, -1).mean((1, 3))
    assert np.abs(pixels - means).max() <= 0.5
    assert abs((pixels - means).mean()) < 0.1


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_png_of_a_hundred_megapixels_takes_little_more_than_its_pixels(tmp_path, mode):
    """Which are 400 MB in memory; turned and converted whole it would be three times as much."""
    path = tmp_path / "huge.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new(mode, (9900, 9900), (200, 150, 130)).save(path, exif=exif, compress_level=1)
    *shape, megabytes = peak_of(path)
    assert shape == [4950, 4950, len(mode)]
    assert megabytes < 850


def refuse(name: str, error: type[OSError], number: int, monkeypatch):
    """Lets the listing of folders with this name fail."""
    listed = os.scandir

    def refused(path):
        if Path(path).name == name:
            raise error(number, os.strerror(number), str(path))
        return listed(path)

    monkeypatch.setattr("os.scandir", refused)


@pytest.mark.parametrize(
    ("name", "error", "number"),
    [("lost+found", PermissionError, errno.EACCES), ("removed meanwhile", FileNotFoundError, errno.ENOENT)],
)
def test_a_disks_own_folders_and_vanished_ones_hold_no_photos(tmp_path, monkeypatch, name, error, number):
    (tmp_path / name).mkdir()
    saved(tmp_path, Image.fromarray(RGB), "a.png")
    refuse(name, error, number, monkeypatch)
    assert photo_io.photo_paths(tmp_path) == [tmp_path / "a.png"]


def test_a_sub_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    saved(tmp_path, Image.fromarray(RGB), "a.png")
    refuse("closed", PermissionError, errno.EACCES, monkeypatch)
    with pytest.raises(UserError, match="closed: must be a folder that can be read, got: Permission denied"):
        photo_io.photo_paths(tmp_path)
