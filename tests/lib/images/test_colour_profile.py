"""Embedded colour profiles are applied; photos without one, or with sRGB's, keep their values."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from lib.face_image.photo_io import read_photo
from lib.images.colour_profile import in_srgb
from lib.records.crop_files import read_crop

# Columns of the matrices from linear RGB to XYZ under D50.
DISPLAY_P3 = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
# A colour in Display P3 and the same in sRGB, by the matrices above.
IN_P3, IN_SRGB = (200, 100, 80), (215, 93, 73)
RGB = np.random.default_rng(0).integers(0, 256, [6, 9, 3], dtype=np.uint8)


def number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 ICC profile of a monitor or scanner."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78), **tags}
    place, directory, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        directory += name + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    white = number(0.9642) + number(1.0) + number(0.8249)
    header = bytes(8) + struct.pack(">I", 0x02400000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    content = header + white + bytes(48) + struct.pack(">I", len(tags)) + directory + body
    return struct.pack(">I", len(content)) + content[4:]


def xyz(values) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(number, values))


def curve(values) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + np.asarray(values, ">u2").tobytes()


def rgb_profile(primaries) -> bytes:
    """A profile of three primaries and sRGB's curve."""
    x = np.linspace(0, 1, 1024)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    tone = curve(np.rint(linear * 65535))
    tags = {b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    for letter, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags |= {letter + b"XYZ": xyz(primary), letter + b"TRC": tone}
    return profile(b"RGB ", tags)


GREY = profile(b"GRAY", {b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"kTRC": curve([round(1.0 * 256)])})  # linear


# A screen of gamma 2.2, whose dark values are up to 8 darker in sRGB.
GAMMA = profile(b"GRAY", {b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"kTRC": curve([round(2.2 * 256)])})


def inks(light) -> bytes:
    """A table from four inks to XYZ: `light` of (C, M, Y, K) in [0, 1] is the share of white."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    values = np.array([light(*corner) for corner in corners])[:, None] * (0.9642, 1.0, 0.8249)
    line, matrix = struct.pack(">2H", 0, 65535), b"".join(map(number, np.eye(3).ravel()))
    table = np.rint(values * 32768).astype(">u2").tobytes()
    return b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + struct.pack(">2H", 2, 2) + 4 * line + table + 3 * line


# Grey inks on white paper, and black paint that reflects 2 %; other intents would show everything white.
PRINT = profile(
    b"CMYK",
    {
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"A2B1": inks(lambda c, m, y, k: 0.02 + 0.98 * (1 - k) * (1 - (c + m + y) / 3)),
    }
    | dict.fromkeys((b"A2B0", b"A2B2"), inks(lambda *_: 1.0)),
)


def patch(colour, mode="RGB") -> Image.Image:
    return Image.new(mode, (8, 8), colour)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tiff", "a.webp"])
def test_a_photo_in_display_p3_becomes_srgb(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {"quality": 100}
    patch(IN_P3).save(tmp_path / name, icc_profile=rgb_profile(DISPLAY_P3), **options)
    np.testing.assert_allclose(read_photo(tmp_path / name).astype(int), np.full((8, 8, 3), IN_SRGB), atol=2)


def test_heic_in_display_p3_becomes_srgb(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    patch(IN_P3).resize((64, 64)).save(tmp_path / "a.heic", icc_profile=rgb_profile(DISPLAY_P3), quality=100)
    np.testing.assert_allclose(read_photo(tmp_path / "a.heic").astype(int), np.full((64, 64, 3), IN_SRGB), atol=4)


def test_alpha_stays_and_palettes_follow():
    rgba = np.dstack([np.full((4, 4, 3), IN_P3, np.uint8), np.arange(16, dtype=np.uint8).reshape(4, 4)])
    changed = np.asarray(in_srgb(Image.fromarray(rgba), rgb_profile(DISPLAY_P3)))
    np.testing.assert_array_equal(changed[..., 3], rgba[..., 3])
    np.testing.assert_allclose(changed[..., :3].astype(int), np.full((4, 4, 3), IN_SRGB), atol=2)
    palette = in_srgb(patch(IN_P3).quantize(4), rgb_profile(DISPLAY_P3))
    np.testing.assert_allclose(np.asarray(palette, int), np.full((8, 8, 3), IN_SRGB), atol=2)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_values_follow_their_profile(mode):
    changed = np.asarray(in_srgb(patch(55, "L").convert(mode), GREY), int)
    assert changed.shape[-1] == len("RGB") + (mode == "LA")
    np.testing.assert_allclose(changed[..., :3], 128, atol=2)  # a linear 0.215 is half of sRGB's scale


def test_sixteen_bits_follow_their_profile(tmp_path):
    deep = Image.fromarray(np.full((4, 4), 55 * 257, np.uint16))
    deep.save(tmp_path / "deep.png", icc_profile=GREY)
    np.testing.assert_allclose(read_photo(tmp_path / "deep.png").astype(int), 128, atol=2)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no profile",
        rgb_profile(DISPLAY_P3)[:200],
        GREY,
        rgb_profile(SRGB),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ],
    ids=["none", "empty", "text", "truncated", "of grey images", "sRGB", "Pillow's sRGB"],
)
def test_values_stay_without_a_profile_that_fits_and_differs_from_srgb(content):
    np.testing.assert_array_equal(np.asarray(in_srgb(Image.fromarray(RGB), content)), RGB)


def test_cmyk_without_a_profile_of_its_own_is_converted_plainly():
    ink = patch((0, 128, 128, 0), "CMYK")
    for content in (None, rgb_profile(DISPLAY_P3)):
        np.testing.assert_array_equal(np.asarray(in_srgb(ink, content)), np.asarray(ink.convert("RGB")))


@pytest.mark.parametrize(("ink", "linear"), [((0, 0, 0, 0), 1.0), ((255, 0, 0, 0), 2 / 3), ((0, 255, 255, 0), 1 / 3)])
def test_cmyk_follows_its_profile(ink, linear):
    """Colours relative to paper and paint: white is white, and black is black."""
    wanted = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(np.asarray(in_srgb(patch(ink, "CMYK"), PRINT), int), wanted, atol=2)
    np.testing.assert_array_equal(np.asarray(in_srgb(patch((255,) * 4, "CMYK"), PRINT)), 0)


def test_a_profile_that_moves_dark_values_a_little_is_applied():
    changed = np.asarray(in_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), GAMMA), int)[0, :, 0]
    assert np.abs(changed - np.arange(256)).max() < 12
    np.testing.assert_allclose(changed[[10, 20, 255]], [3, 12, 255], atol=1)


def test_crops_to_pack_become_srgb_too(tmp_path):
    patch((*IN_P3, 255), "RGBA").save(tmp_path / "a.png", icc_profile=rgb_profile(DISPLAY_P3))
    crop = read_crop(tmp_path / "a.png", 8)
    np.testing.assert_allclose(crop[..., :3].astype(int), np.full((8, 8, 3), IN_SRGB), atol=2)
    assert (crop[..., 3] == 255).all()
