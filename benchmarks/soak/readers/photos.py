"""The user's photos, videos, files next to them, and configurations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.soak.readers.kinds import OPEN, Reader
from configs import schema
from lib.face_image.photo_formats import register_heif
from lib.face_image.photo_io import read_photo
from lib.records.crop_files import read_crop
from lib.sidecar.sidecar_files import given_landmarks, given_mask
from tests.support.photo_corpus import portrait

POINTS = np.array([[122.0, 101], [167, 104], [145, 127], [124, 142], [163, 142]])
FORMATS = ("jpg", "png", "webp", "tiff", "gif", "bmp", "avif", "jp2", "tga", "ppm", *["heic"] * register_heif())


def _crop(folder: Path) -> None:
    portrait().convert("RGBA").resize((48, 48)).save(folder / "crop.png")


def _photo(suffix: str) -> Callable[[Path], None]:
    return lambda folder: portrait().resize((90, 90)).save(folder / f"photo.{suffix}")


def _read_the_photo(folder: Path) -> np.ndarray:
    (path,) = folder.glob("photo.*")  # hypothesis adds a folder of its own
    return read_photo(path)


def _video(folder: Path) -> None:
    frame = cv2.cvtColor(np.asarray(portrait().resize((96, 96))), cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(folder / "video.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (96, 96))
    for _ in range(5):
        writer.write(frame)
    writer.release()


def _read_video(folder: Path) -> list[Any]:
    from model.video.frames import FrameSource

    return list(FrameSource(folder / "video.mp4", 25.0))


def _landmarks(suffix: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        portrait().save(folder / "face.jpg")
        if suffix == "npy":
            np.save(folder / "face.npy", POINTS)
        elif suffix == "txt":
            (folder / "face.txt").write_text("".join(f"{x}\t{y}\n" for x, y in POINTS))
        else:
            rows = np.concatenate([POINTS, np.random.default_rng(0).uniform(90, 180, (63, 2))])
            text = "".join(f"{x:.3f} {y:.3f}\n" for x, y in rows)
            (folder / "face.pts").write_text(f"version: 1\nn_points: 68\n{{\n{text}}}\n")

    return make


def _mask(folder: Path) -> None:
    portrait().save(folder / "face.jpg")
    portrait().convert("L").point(lambda grey: 255 * (grey > 99)).save(folder / "face_mask.png")


def _configuration(folder: Path) -> None:
    text = (schema.REPOSITORY / "configs" / "paper.yaml").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")


PHOTOS = (
    Reader("crop", "RGBA crops (`.png`)", OPEN, _crop, lambda folder: read_crop(folder / "crop.png", 48)),
    *(Reader(suffix, f"photos (`.{suffix}`)", OPEN, _photo(suffix), _read_the_photo) for suffix in FORMATS),
    Reader("video", "videos (`.mp4`)", OPEN, _video, _read_video),
    *(Reader(f"landmarks {suffix}", f"landmarks next to a photo (`.{suffix}`)", OPEN, _landmarks(suffix),
             lambda folder: given_landmarks(folder / "face.jpg", (300, 300)), f"*.{suffix}")
      for suffix in ("npy", "txt", "pts")),
    Reader("mask", "masks next to a photo", OPEN, _mask, lambda folder: given_mask(folder / "face.jpg", (300, 300)),
           "*_mask.png"),
    Reader("configuration", "configurations (`.yaml`)", OPEN, _configuration,
           lambda folder: schema.load(folder / "mine.yaml"), named=r"^[a-z_]+\.[a-z_]+:"),
)  # fmt: skip
