"""Contact sheets for review before training: every crop with the outline of its mask and its name."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import one_line
from lib.files.atomic import atomic_path
from lib.images.contact_sheet import Tile, contact_sheet

COLUMNS, ROWS = 8, 6
CELL, GAP = 176, 4  # pixels
OUTLINE = (0, 255, 0)
_PAGE = re.compile(r"page_\d{3,}\.png")  # another file may be the user's notes


def write_sheets(folder: Path, crops: Path, names: Sequence[str]) -> int:
    """Writes page_001.png, page_002.png, ... and removes surplus pages of an earlier run.

    Args:
      folder: folder for the pages, created if missing.
      crops: folder of the RGBA crops.
      names: file names of the crops, in order; those that are gone by now are left out, and those that are no
        pictures any more, with a line that says so.

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
        if path.name not in wanted and _PAGE.fullmatch(path.name):
            path.unlink()
    return len(wanted)


def outlined(crop: np.ndarray, side: int) -> np.ndarray:
    """Scales a crop to `side` and draws the outline of its mask.

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
        files = [crops / name for name in names[first : first + COLUMNS * ROWS]]
        tiles = [tile for tile in map(_tile, files) if tile is not None]
        if tiles:
            yield contact_sheet([tiles[row : row + COLUMNS] for row in range(0, len(tiles), COLUMNS)], GAP)


def _tile(path: Path) -> Tile | None:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return path.stem, outlined(np.asarray(image.convert("RGBA")), CELL)
    except FileNotFoundError:  # deleted by hand since it was listed
        return None
    except Exception as error:  # edited by hand; Pillow raises many kinds
        if isinstance(error, MemoryError):
            raise
        print(f"{path}: must be a PNG, got {one_line(error)} (left out of the sheets)", file=sys.stderr)
        return None
