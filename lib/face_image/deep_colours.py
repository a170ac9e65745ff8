"""Pixels of more than 8 bits, rounded to 8.

Pillow cuts colours of 16 bits off. Those of JPEG 2000 it rounds without a bound, so that the brightest values become
256, which is stored as 0: white is black.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from lib.errors import UserError

# Files that it cannot read are told by `in_eight_bits`, in one line.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
# Marker of a codestream's beginning and of its sizes; after the latter come the number of channels and their bits.
_START = b"\xff\x4f\xff\x51"
_SEARCHED = 2**24  # bytes at the beginning of a file; before the codestream is an ICC profile at most
_COUNT, _FIRST, _EACH = 38, 40, 3
# Ends of Pillow's names of 16-bit layouts -> those of the swapped bytes: it keeps the lower byte of these. N is native.
_SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": {"little": ";16B", "big": ";16L"}[sys.byteorder]}
_ROWS = 512  # of pixels that are rounded at once
# TIFF's tags of the bits of each channel, of the compression (1 is none), of the meaning of values (0: 0 is white), and
# of the order of colours (2: in planes).
_BITS, _COMPRESSION, _MEANING, _PLANAR = 258, 259, 262, 284


def _to_eight(bits: int) -> np.ndarray:
    """Lookup table [65536] from values of so many bits to those of 8."""
    return np.rint(np.arange(2**16) * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)


_SIXTEEN_TO_EIGHT = _to_eight(16)


def in_eight_bits(image: Image.Image, path: Path, cut: bool = False) -> Image.Image:
    """The image itself; its pixels in 8 bits if the file has more, and with alpha if one value means transparency.

    Args:
      image: as it was loaded from the file; its pixels may be changed.
      path: the file.
      cut: 16-bit colours may be cut off, because to round them takes twice the time and memory.

    Raises:
      UserError: the file's pixels are not of 8 or 16 bits, or cannot be decoded.
    """
    if _in_deep_planes(image):
        raise UserError(
            f"{path}: a TIFF of more than 8 bits must have its colours beside each other or be compressed, got "
            "uncompressed planes (convert it to PNG)"
        )
    if image.mode.startswith("I;16") or image.mode == "I":
        return _grey(image, path)
    if image.mode == "F":
        raise UserError(floating(path))
    if image.format in ("PNG", "TIFF") and not (cut and "transparency" not in image.info):
        return _rounded(image, path)
    if image.format == "JPEG2000" and (bits := _most_bits(path)) > 8:
        return _jpeg2000(image, path, bits)
    return image


def floating(path: Path) -> str:
    """Message about a photo of floating-point numbers."""
    return f"{path}: pixels must be 8- or 16-bit integers, got floating point (convert the image first)"


def _grey(image: Image.Image, path: Path) -> Image.Image:
    values, transparent = np.asarray(image), image.info.get("transparency")
    if values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path}: grey values must be 8 or 16 bits, got {values.min()}..{values.max()}")
    # 8 bits are also stored in 32.
    table = np.arange(256, dtype=np.uint8) if image.mode == "I" and values.max() <= 255 else _SIXTEEN_TO_EIGHT
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode != "I":  # whose values Pillow leaves as they are
        table = _to_eight(image.tag_v2[_BITS][0])
        table = 255 - table if image.tag_v2.get(_MEANING) == 0 else table
    grey = Image.fromarray(table[values])
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _in_deep_planes(image: Image.Image) -> bool:
    """Whether a file is an uncompressed TIFF of planes of over 8 bits, which Pillow reads as if they had 8."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    bits, tags = image.tag_v2.get(_BITS, (1,)), image.tag_v2
    return tags.get(_PLANAR) == 2 and tags.get(_COMPRESSION, 1) == 1 and len(bits) > 1 and max(bits) > 8


def _rounded(image: Image.Image, path: Path) -> Image.Image:
    """Rounds the pixels of a PNG or TIFF of 16-bit colours, whose upper bytes Pillow has kept."""
    with Image.open(path, formats=[image.format or ""]) as lower:
        tiles = [swapped for tile in lower.tile if (swapped := _swapped(tile)) is not None]
        if not tiles or len(tiles) < len(lower.tile):
            return image
        lower.tile = tiles
        lower.load()
        transparent = image.info.get("transparency")
        alpha = Image.new("L", image.size, 255) if isinstance(transparent, tuple) else None
        for top in range(0, image.height, _ROWS):
            box = (0, top, image.width, min(top + _ROWS, image.height))
            values = np.asarray(image.crop(box)).astype(np.uint16) << 8 | np.asarray(lower.crop(box))
            image.paste(Image.fromarray(_SIXTEEN_TO_EIGHT[values], image.mode), box)
            if alpha is not None:
                alpha.paste(Image.fromarray(np.where((values == transparent).all(-1), 0, 255).astype(np.uint8)), box)
    if alpha is not None:
        del image.info["transparency"]
        image.putalpha(alpha)
    return image


def _swapped(tile: Any) -> Any | None:
    """A part of Pillow's plan to decode a file, with swapped bytes; None if it is not of 16-bit colours."""
    first, *rest = [tile.args] if isinstance(tile.args, str) else tile.args
    name, end = str(first)[:-4], str(first)[-4:]
    # Pillow knows LA, grey with alpha, in one order only.
    if end not in _SWAPPED or name not in ("RGB", "RGBA", "RGBX"):
        return None
    swapped = name + _SWAPPED[end]
    return tile._replace(args=(swapped, *rest) if rest else swapped)


def _jpeg2000(image: Image.Image, path: Path, bits: int) -> Image.Image:
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[:2][::-1] != image.size:
        raise UserError(
            f"{path}: must be a complete image in RGB to be read as JPEG 2000 of {bits} bits, got another one (convert "
            "it to PNG or JPEG)"
        )
    table = _to_eight(bits)
    order = cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB
    converted = Image.fromarray(cv2.cvtColor(table[values], order))
    converted.info = image.info.copy()  # the colour profile among it
    return converted


def _most_bits(path: Path) -> int:
    """The most bits that a channel of a JPEG 2000 has; 0 if its sizes are not found."""
    with open(path, "rb") as stream:
        start = stream.read(_SEARCHED)
    sizes = start[max(start.find(_START), 0) + 2 :]
    count = int.from_bytes(sizes[_COUNT:_FIRST], "big") if _START in start else 0
    return max(((value & 127) + 1 for value in sizes[_FIRST : _FIRST + _EACH * count : _EACH]), default=0)
