"""Files of crops: their names in a folder, and their pixels."""

import contextlib
import errno
import os
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lib.errors import UserError, one_line
from lib.files.folders import kind_of
from lib.images.colour_profile import in_srgb
from lib.records.crop_faults import alpha_fault

_ATTEMPTS = 3  # at a file, if the disk or the network fails
# Numbers of the errors of one file: Pillow's own, an impossible seek, one gone, closed, a circle of links, a folder.
_OF_THE_FILE = (
    None, errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR,
)  # fmt: skip
# Numbers of the errors of the process: every following file would have them, too.
_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class BadImage(ValueError):
    """The image cannot be packed; the message gives the reason."""


class UnreadableImage(BadImage):
    """The disk or the network fails at the image."""


def file_names(folder: Path) -> list[str]:
    """Sorted names of the files in a folder, without hidden ones, and of what else is called a PNG there.

    Raises:
      UserError: the folder holds no files, or is that of prepared photos instead of their crops'.
    """
    with os.scandir(folder) as entries:  # which asks the file system about links only
        names = sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and (entry.name.lower().endswith(".png") or _is_file(entry))
        )
    crops = folder / "crops"
    if crops.is_dir() and not any(name.lower().endswith(".png") for name in names):
        raise UserError(f"{folder}: must hold RGBA PNGs, got none (did you mean {crops}?)")
    if not names:
        raise UserError(f"{folder}: must hold RGBA PNGs, got an empty folder")
    return names


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a circle of links
        return False


def read_crop(path: Path, image_size: int) -> np.ndarray:
    """Reads an RGBA PNG of a face.

    Args:
      path: the file.
      image_size: required side [px].

    Returns:
      [image_size, image_size, 4] uint8, colours in sRGB; alpha 255 on skin, 0 elsewhere.

    Raises:
      BadImage: the file is damaged, gone, closed to this user, not RGBA, of another size, or its alpha marks no skin.
      UnreadableImage: the disk or the network fails, `_ATTEMPTS` times.
      UserError: the process has too little memory, or too many files are open; the file may be good.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(UnreadableImage):
            return _read_crop(path, image_size)
    return _read_crop(path, image_size)


def _read_crop(path: Path, image_size: int) -> np.ndarray:
    try:
        if not path.is_file():
            raise BadImage(f"must be a PNG, got {kind_of(path)}")
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode != "RGBA":
                raise BadImage(f"must be RGBA, got {image.mode}")
            if image.size != (image_size, image_size):
                raise BadImage(f"must be {image_size} x {image_size} px, got {image.width} x {image.height}")
            crop = np.asarray(in_srgb(image, image.info.get("icc_profile")))
    except UnidentifiedImageError:
        raise BadImage("must be a PNG, got another kind of file") from None
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # Pillow reports broken PNG chunks as SyntaxError, IndexError, ...
        if isinstance(error, OSError) and error.errno in _OF_THE_PROCESS:
            raise UserError(f"{path}: must be readable, got: {error.strerror} (run the same command again)") from error
        if isinstance(error, OSError) and error.errno not in _OF_THE_FILE:
            raise UnreadableImage(f"must be readable, got: {error.strerror}") from error
        raise BadImage(f"must be readable, got: {one_line(error)}") from error
    if not path.name.isprintable():
        raise BadImage("file name must be printable UTF-8, got other characters in it")
    return with_skin(crop)


def with_skin(crop: np.ndarray) -> np.ndarray:
    """Returns a crop, [H, W, 4] uint8; raises BadImage if its alpha marks no skin."""
    if fault := alpha_fault(crop):
        raise BadImage(fault)
    return crop
