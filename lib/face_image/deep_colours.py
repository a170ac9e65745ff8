"""JPEG 2000 with colours of more than 8 bits, which Pillow cannot read.

It rounds them to 8 bits without a bound, so that the brightest values become 256, which is stored as 0: white is black.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import UserError

# Files that it cannot read are told by `in_eight_bits`, in one line.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
# Marker of a codestream's beginning and of its sizes; after the latter come the number of channels and their bits.
_START = b"\xff\x4f\xff\x51"
_SEARCHED = 2**24  # bytes at the beginning of a file; before the codestream is an ICC profile at most
_COUNT, _FIRST, _EACH = 38, 40, 3


def in_eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """The image itself; its pixels in 8 bits if it is JPEG 2000 with colours of more.

    Raises:
      UserError: the file has such colours, and cannot be decoded.
    """
    if image.format != "JPEG2000" or image.mode == "I;16" or (bits := _most_bits(path)) <= 8:
        return image
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[:2][::-1] != image.size:
        raise UserError(
            f"{path}: must be a complete image in RGB to be read as JPEG 2000 of {bits} bits, got another one (convert "
            "it to PNG or JPEG)"
        )
    table = np.rint(np.arange(2**16) * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)
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
