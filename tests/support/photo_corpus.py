"""Folders of photos as people have them: good ones of every kind, and everything that can be wrong with a file."""

import struct
import zlib
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

# What each bad file's reason must say, in both modes.
BAD_PHOTOS = {
    "animated.gif": "no face found",
    "bomb.png": "million pixels",
    "cat.png": "no face found",
    "cup.jpg": "no face found",
    "deep/er/truncated.jpg": "damaged",
    "empty.jpg": "an empty file",
    "noise.png": "no face found",
    "one.png": "no face found",
    "text.png": "unknown format",
    "wide.png": "no face found",
}


# Eyes, nose and mouth corners of skimage's astronaut, by eye.
ASTRONAUT_FIVE = np.array([[200.0, 104], [246, 104], [222, 130], [202, 140], [246, 142]])


def portrait() -> Image.Image:
    """The astronaut's head and shoulders, 300 x 300."""
    return Image.fromarray(portrait_pixels())


def portrait_pixels() -> np.ndarray:
    """The same, uint8 [300, 300, 3]."""
    return np.ascontiguousarray(skimage.data.astronaut()[:300, 80:380])


def bomb(path: Path, side: int = 30000) -> None:
    """A PNG of `side` x `side` grey pixels in a few kilobytes; no decoder gets as far as its missing rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((side + 1) * 64))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def write_bad(folder: Path) -> None:
    """Writes the files of `BAD_PHOTOS`."""
    (folder / "deep" / "er").mkdir(parents=True)
    frames = [Image.new("P", (64, 64), value) for value in (0, 80, 160)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    bomb(folder / "bomb.png")
    Image.fromarray(skimage.data.chelsea()[::2, ::2]).save(folder / "cat.png")
    Image.fromarray(skimage.data.coffee()[::2, ::2]).save(folder / "cup.jpg")
    portrait().save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "deep" / "er" / "truncated.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.jpg").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, [200, 200, 3], dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    Image.new("RGB", (1, 1), (200, 150, 130)).save(folder / "one.png")
    (folder / "text.png").write_text("not a photo")
    Image.new("RGB", (6000, 18), (90, 120, 90)).save(folder / "wide.png")
