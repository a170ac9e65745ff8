"""Pixels of more than 8 bits: rounded, and the white of JPEG 2000 stays white."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.face_image import photo_io
from lib.face_image.deep_colours import in_eight_bits
from lib.face_image.photo_io import read_photo

LOSSLESS = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
RAMP = np.tile(np.array([0, 65407, 65408, 65535], np.uint16), (64, 16))
IN_EIGHT = np.tile(np.array([0, 255, 255, 255], np.uint8), (64, 16))


def written(path, *channels):
    """A file with channels RGB or RGBA, or grey."""
    blue_first = np.dstack([*channels[2::-1], *channels[3:]]) if len(channels) > 1 else channels[0]
    assert cv2.imwrite(str(path), blue_first, LOSSLESS)
    return path


def with_bits(path, bits):
    """The same file as if its three channels had other bits."""
    content = bytearray(path.read_bytes())
    first = content.find(b"\xff\x4f\xff\x51") + 42
    content[first : first + 9 : 3] = [bits - 1] * 3
    content[content.find(b"ihdr") + 14] = bits - 1
    path.write_bytes(content)
    return path


def test_white_is_white(tmp_path):
    read = read_photo(written(tmp_path / "a.jp2", RAMP, RAMP // 65535 * 25700, 65535 - RAMP))
    np.testing.assert_array_equal(read, np.dstack([IN_EIGHT, RAMP // 65535 * 100, 255 - IN_EIGHT]))
    np.testing.assert_array_equal(read_photo(written(tmp_path / "grey.jp2", RAMP)), np.dstack([IN_EIGHT] * 3))
    twelve = read_photo(with_bits(written(tmp_path / "b.jp2", RAMP, RAMP, RAMP), 12))
    assert twelve.max() == 255


def test_alpha_and_eight_bits_are_kept(tmp_path):
    read = read_photo(written(tmp_path / "a.jp2", RAMP, RAMP, RAMP, 65535 - RAMP))
    np.testing.assert_array_equal(read, np.dstack([IN_EIGHT] * 3 + [255 - IN_EIGHT]))
    eight = read_photo(written(tmp_path / "b.jp2", *[IN_EIGHT] * 3))
    np.testing.assert_array_equal(eight, np.dstack([IN_EIGHT] * 3))


def test_the_colour_profile_is_kept(tmp_path):
    path = written(tmp_path / "a.jp2", RAMP, RAMP, RAMP)
    with Image.open(path) as image:
        image.info["icc_profile"] = b"profile"
        assert in_eight_bits(image, path).info["icc_profile"] == b"profile"


def test_what_cannot_be_decoded_is_named(tmp_path, capfd):
    path = written(tmp_path / "a.jp2", RAMP, RAMP, RAMP)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"a\.jp2: must be a complete image"):
        read_photo(path)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_rounded_in_colour_as_in_grey(tmp_path, suffix, channels):
    values = np.random.default_rng(0).integers(0, 65536, (600, 4, channels), np.uint16)
    assert cv2.imwrite(str(tmp_path / f"a.{suffix}"), values[..., [2, 1, 0, 3][:channels]] if channels > 1 else values)
    rounded = np.rint(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(
        read_photo(tmp_path / f"a.{suffix}"), rounded if channels > 1 else np.repeat(rounded, 3, axis=-1)
    )


def write_planes(path, values, order, compressed):
    """A TIFF of 16-bit RGB in planes; `order` is that of its bytes, < or >."""
    height, width, count = values.shape
    planes = [values[..., channel].astype(f"{order}u2").tobytes() for channel in range(count)]
    planes = [zlib.compress(plane) if compressed else plane for plane in planes]
    sizes = [len(plane) for plane in planes]
    tags = {256: width, 257: height, 258: None, 259: 8 if compressed else 1, 262: 2, 273: None, 277: 3, 278: height}
    tags |= {279: None, 284: 2}
    place = 10 + 12 * len(tags) + 4
    starts = [place + 30 + sum(sizes[:channel]) for channel in range(count)]
    lists = {258: ("H", place, [16] * count), 273: ("I", place + 6, starts), 279: ("I", place + 18, sizes)}
    content = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(tags))
    for tag, value in tags.items():
        if value is None:
            kind, where, _ = lists[tag]
            content += struct.pack(f"{order}HHII", tag, 3 if kind == "H" else 4, count, where)
        else:
            content += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    content += bytes(4) + b"".join(struct.pack(f"{order}{count}{kind}", *items) for kind, _, items in lists.values())
    path.write_bytes(content + b"".join(planes))


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_sixteen_bits_do_not_become_noise(tmp_path, order):
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    write_planes(tmp_path / "compressed.tiff", values, order, compressed=True)
    assert np.abs(read_photo(tmp_path / "compressed.tiff") - values / 257).max() <= 1
    write_planes(tmp_path / "a.tiff", values, order, compressed=False)
    with pytest.raises(UserError, match=r"a\.tiff: a TIFF of more than 8 bits must .*uncompressed planes \(convert"):
        read_photo(tmp_path / "a.tiff")


def write_grey(path, packed, bits, meaning, size):
    """A TIFF of grey values; 0 is white if `meaning` is 0."""
    width, height = size
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: meaning, 273: 122, 277: 1, 278: height, 279: len(packed)}
    content = b"II*\0" + struct.pack("<IH", 8, len(tags))
    content += b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    path.write_bytes(content + bytes(4) + packed)


@pytest.mark.parametrize(("bits", "meaning"), [(8, 0), (8, 1), (12, 1), (16, 0), (16, 1)])  # Pillow refuses (12, 0)
def test_grey_is_read_in_its_depth_and_as_what_it_means(tmp_path, bits, meaning):
    most = 2**bits - 1
    values = [0, most, most // 2, most // 5]
    number = "".join(f"{value:0{bits}b}" for value in values)
    packed = int(number, 2).to_bytes(bits // 2, "big") if bits < 16 else struct.pack("<4H", *values)
    write_grey(tmp_path / "a.tiff", packed, bits, meaning, (4, 1))
    grey = np.array(values) / most * 255
    expected = 255 - grey if meaning == 0 else grey
    assert np.abs(read_photo(tmp_path / "a.tiff")[0] - expected[:, None]).max() <= 0.5


@pytest.mark.parametrize("transparent", [False, True])
def test_large_photos_are_not_decoded_twice_without_need(tmp_path, monkeypatch, transparent):
    """They are reduced, and the second time would be most of the time."""
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", 100)
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 10, 3), 0x01FF, np.uint16))
    if transparent:
        with_chunk(tmp_path / "a.png", b"tRNS", struct.pack(">3H", 0x01FF, 0x01FF, 0x01FF))
    pixels = read_photo(tmp_path / "a.png")
    assert pixels.shape == (10, 5, 4 if transparent else 3)
    assert pixels.reshape(50, -1).T.tolist() == ([[2] * 50] * 3 + [[0] * 50] if transparent else [[1] * 50] * 3)


def with_chunk(path, name, content):
    """Adds a chunk to a PNG, behind its header."""
    png = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(png[:33] + chunk + png[33:])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_value_of_sixteen_bits_becomes_alpha(tmp_path, channels):
    values = np.full((6, 9, channels), 1000, np.uint16)
    values[2] = 1001
    assert cv2.imwrite(str(tmp_path / "a.png"), values)
    with_chunk(tmp_path / "a.png", b"tRNS", struct.pack(f">{channels}H", *[1001] * channels))
    pixels = read_photo(tmp_path / "a.png")
    assert pixels.shape == (6, 9, 4)
    np.testing.assert_array_equal(pixels[..., 3], np.where(np.arange(6) == 2, 0, 255)[:, None].repeat(9, 1))
    assert (pixels[..., :3] == 4).all()
