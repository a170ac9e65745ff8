"""Contact sheets: rows of captioned images."""

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from lib.files.file_names import printable

# An image, uint8 [H, W, 3], and its caption.
Tile = tuple[str, np.ndarray]
# Caption line: height, baseline, font size and left margin, pixels.
LINE, BASELINE, SIZE, MARGIN = 16, 12, 11, 4


def contact_sheet(rows: Sequence[Sequence[Tile]], gap: int = 0) -> Image.Image:
    """Lays out images on a white sheet.

    Args:
      rows: at least one tile, all of the same size; rows may differ in length. The caption line of a row is left out
        if all its captions are empty. A caption that is wider than its image is cut at the beginning.
      gap: space around tiles, pixels.
    """
    height, width = rows[0][0][1].shape[:2]
    line = LINE if any(caption for row in rows for caption, _ in row) else 0
    step = (height + line + gap, width + gap)
    size = (gap + len(rows) * step[0], gap + max(map(len, rows)) * step[1], 3)
    sheet = np.full(size, 255, np.uint8)
    for r, row in enumerate(rows):
        for c, (caption, picture) in enumerate(row):
            top, left = gap + r * step[0], gap + c * step[1]
            if line:
                sheet[top : top + line, left : left + width] = caption_line(caption, width)
            sheet[top + line : top + line + height, left : left + width] = picture
    return Image.fromarray(sheet)


def caption_line(caption: str, width: int) -> np.ndarray:
    """Renders a caption in black on white, uint8 [LINE, width, 3]."""
    strip = np.full((LINE, width, 3), 255, np.uint8)
    text = caption = printable(caption)
    while _text_width(text) > width - 2 * MARGIN and caption:
        caption = caption[1:]
        text = f"…{caption}"
    cv2.putText(strip, text, (MARGIN, BASELINE), (0, 0, 0), _font(), SIZE)
    return strip


@functools.cache
def _font() -> cv2.FontFace:
    """OpenCV's built-in font, which covers many scripts, including Chinese, Japanese and Korean."""
    return cv2.FontFace("uni")


def _text_width(text: str) -> int:
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), SIZE)
    return left + width
