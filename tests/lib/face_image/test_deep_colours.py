"""JPEG 2000 of more than 8 bits: white stays white."""

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.face_image.jpeg2000 import in_eight_bits
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
