"""Reads ordinary photos into bytes: any Pillow format, upright, RGB or RGB with alpha."""

import os
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from utils import UserError

PHOTO_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
# A 100-megapixel photo takes 400 MB while it is converted; anything larger is a mistake or an attack.
MAX_PIXELS = 100_000_000


def read_photo(path: str | os.PathLike) -> np.ndarray:
    """The pixels of a photo as a viewer shows them.

    The EXIF orientation is applied, grey and palette images become RGB, CMYK is converted, 16 bits are reduced to 8,
    the first frame of an animation is taken. Transparency of any kind stays as alpha; colours below it are left alone.

    Args:
      path: an image file in any format Pillow reads.

    Returns:
      uint8 [H, W, 3] RGB, or [H, W, 4] RGBA when the file has transparency.

    Raises:
      UserError: one line naming the file when it cannot be read, is damaged or is too large.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: must be an image file, got {'a folder' if path.is_dir() else 'nothing there'}")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit is lower and only warns; ours is checked below, before any pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(_too_large(path, f"{image.width} x {image.height}"))
                return _to_bytes(ImageOps.exif_transpose(image), path)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(_too_large(path, "more than that")) from None
    except Image.UnidentifiedImageError:
        raise UserError(f"{path}: must be an image, got a file no image format recognises") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        # The exceptions Pillow's decoders raise on damaged files.
        raise UserError(f"{path}: must be a complete image, got a damaged one ({_one_line(error)})") from None


def photo_paths(folder: str | os.PathLike) -> list[Path]:
    """The files of `folder` (not of its sub-folders) with an image's suffix, sorted by name.

    Raises:
      UserError: if the folder is missing or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: must be a folder of images, got {'a file' if folder.exists() else 'nothing there'}")
    paths = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        raise UserError(f"{folder}: must hold images ({', '.join(PHOTO_SUFFIXES)}), got none")
    return paths


def given_alpha(photo: np.ndarray) -> np.ndarray | None:
    """The mask a photo brings with it: its alpha channel (uint8 [H, W]), unless that is opaque everywhere or absent."""
    if photo.shape[-1] == 3 or photo[..., 3].min() == 255:
        return None
    return photo[..., 3]


def _to_bytes(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UserError(f"{path}: grey values must be 8 or 16 bits, got {values.min()}..{values.max()}")
        grey = np.rint(values / 257.0).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode == "F":
        raise UserError(f"{path}: pixels must be 8- or 16-bit integers, got floating point (convert the image first)")
    transparent = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB")).copy()


def _too_large(path: Path, size: str) -> str:
    return f"{path}: must have at most {MAX_PIXELS // 1_000_000} million pixels, got {size} (scale it down)"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
