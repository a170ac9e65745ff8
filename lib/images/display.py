"""Pictures as a display shows them, and sheets of them."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

CAPTION = 16  # height of a line of text, pixels


def clipped(rendering: tf.Tensor) -> tf.Tensor:
    """A rendering as a display shows it: colours may leave [0, 1] while training, an image cannot."""
    return tf.clip_by_value(rendering, 0.0, 1.0)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 of an image in [0, 1]."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def tile_sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> Image.Image:
    """Rows of as many square tiles: caption and picture [H, H, 3] in [0, 1]."""
    size = rows[0][0][1].shape[0]
    picture = Image.new("RGB", (size * len(rows[0]), (size + CAPTION) * len(rows)), "white")
    draw = ImageDraw.Draw(picture)
    for r, row in enumerate(rows):
        for c, (caption, tile) in enumerate(row):
            draw.text((c * size + 4, r * (size + CAPTION) + 2), caption, fill="black")
            pixels = Image.fromarray(np.rint(tile * 255).astype(np.uint8))
            picture.paste(pixels, (c * size, r * (size + CAPTION) + CAPTION))
    return picture
