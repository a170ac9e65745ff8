"""Sheets to look over before training: every crop with its mask's outline and its name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lib.files.atomic import atomic_path

COLUMNS, ROWS = 8, 6
CELL, CAPTION, GAP = 176, 14, 4  # pixels
OUTLINE = (0, 255, 0)
# Captions are set in Pillow's own font, about six pixels a letter.
LETTERS = CELL // 6


def write_sheets(folder: Path, crops: Path, names: Sequence[str]) -> int:
    """Writes page_001.png, page_002.png, ... and removes pages that an earlier, longer list left.

    Args:
      folder: of the pages; is made.
      crops: folder of the RGBA crops.
      names: of the crops, in order.

    Returns:
      The number of pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set()
    for number, page in enumerate(_pages(crops, names), 1):
        with atomic_path(folder / f"page_{number:03d}.png") as path:
            page.save(path)
        wanted.add(f"page_{number:03d}.png")
    for path in folder.glob("page_*.png"):
        if path.name not in wanted:
            path.unlink()
    return len(wanted)


def outlined(crop: np.ndarray, side: int) -> np.ndarray:
    """The crop at `side` with the outline of its mask.

    Args:
      crop: uint8 [S, S, 4].

    Returns:
      uint8 [side, side, 3].
    """
    method = cv2.INTER_AREA if crop.shape[0] > side else cv2.INTER_CUBIC
    image = cv2.resize(np.ascontiguousarray(crop[..., :3]), (side, side), interpolation=method)
    alpha = cv2.resize(np.ascontiguousarray(crop[..., 3]), (side, side), interpolation=cv2.INTER_LINEAR)
    outlines, _ = cv2.findContours((alpha > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image, outlines, -1, OUTLINE, 1)


def _pages(crops: Path, names: Sequence[str]) -> Iterator[Image.Image]:
    for first in range(0, len(names), COLUMNS * ROWS):
        page = names[first : first + COLUMNS * ROWS]
        rows = -(-len(page) // COLUMNS)
        step = CELL + GAP
        size = (GAP + COLUMNS * step, GAP + rows * (step + CAPTION))
        sheet = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(sheet)
        for index, name in enumerate(page):
            row, column = divmod(index, COLUMNS)
            left, top = GAP + column * step, GAP + row * (step + CAPTION)
            with Image.open(crops / name) as image:
                sheet.paste(Image.fromarray(outlined(np.asarray(image), CELL)), (left, top))
            draw.text((left, top + CELL + 1), _caption(Path(name).stem), fill="black")
        yield sheet


def _caption(name: str) -> str:
    """As much of a name as fits; its end tells crops apart. What the font lacks is shown as ?."""
    name = name.encode("latin-1", "replace").decode("latin-1")
    return name if len(name) <= LETTERS else f"...{name[-LETTERS + 3 :]}"
