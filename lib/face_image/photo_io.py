"""Reading of photos as 8-bit arrays: upright, RGB or RGBA, in sRGB."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from lib.errors import UserError, one_line
from lib.face_image import photo_formats
from lib.face_image.deep_colours import floating, in_eight_bits
from lib.face_image.photo_walk import photo_folders
from lib.files.file_names import is_portable, without_foreign
from lib.files.folders import kind_of
from lib.images.colour_profile import in_srgb

# A 100-megapixel photo takes 400 MB once it is decoded, and several times that in some formats of 16 bits; anything
# larger is a mistake or an attack.
MAX_PIXELS = 100_000_000
# JPEGs may be larger: they can be decoded at 1/2, 1/4 or 1/8 size, using only the memory of the smaller image. Beyond
# this limit Pillow itself refuses.
MAX_JPEG_PIXELS = 178_000_000
# Larger photos are halved until they are below this: faces need far fewer pixels, and several photos are read at once.
WORKING_PIXELS = 25_000_000
# Suffix of a mask file's name after the photo's stem.
MASK_ENDING = "_mask.png"
# EXIF's orientation -> what makes a photo upright; of the last four, rows become columns.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
# Modes whose values may be averaged.
_AVERAGED = ("L", "LA", "RGB", "RGBA", "CMYK")


def read_photo(path: str | os.PathLike) -> np.ndarray:
    """Reads a photo as an image viewer would show it.

    Applies the EXIF orientation and the colour profile (see `in_srgb`, also about damaged ones), converts grey, palette
    and CMYK images to RGB, reduces 16 bits to 8 and takes the first frame of an animation. Any transparency becomes
    alpha, without changing the colours below it. Photos of more than `WORKING_PIXELS` are reduced to 1/2, 1/4, ... of
    their size.

    Args:
      path: an image file in one of the formats of `photo_formats`.

    Returns:
      uint8 [H, W, 3] RGB, or [H, W, 4] RGBA if the file has transparency.

    Raises:
      UserError: the file cannot be read, is damaged or is too large.
    """
    return read_sized(path)[0]


def read_sized(path: str | os.PathLike) -> tuple[np.ndarray, tuple[int, int]]:
    """The photo as `read_photo` reads it, and its `photo_size`, in which coordinates for the user are given."""

    def decoded(image: Image.Image, path: Path) -> tuple[np.ndarray, tuple[int, int]]:
        size = _upright_size(image, path)  # before a JPEG is decoded at a smaller one
        return _decoded(image, path), size

    return _opened(path, decoded)


def photo_size(path: str | os.PathLike) -> tuple[int, int]:
    """(height, width) of the upright photo at full size, before any reduction by `read_photo`.

    Raises:
      UserError: as `read_photo`.
    """
    return _opened(path, _upright_size)


def photo_paths(folder: str | os.PathLike, skip: str | os.PathLike | None = None) -> list[Path]:
    """Lists the image files in `folder` and its sub-folders, sorted by name, without hidden files and earlier results.

    Files in formats that cannot be read are also listed, so that they fail with a reason instead of disappearing.

    A file `<stem>_mask.png` next to a photo `<stem>.<suffix>` is its mask (`lib.sidecar.sidecar_files`).

    Args:
      folder: folder of photos.
      skip: a sub-folder to leave out, such as the folder of the results.

    Raises:
      UserError: the folder is missing or holds no images, or a folder in it cannot be listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: must be a folder of photos, got {'a file' if folder.exists() else 'no such folder'}"
        )
    skipped = None if skip is None else Path(skip).resolve()
    if folder.resolve() == skipped:
        raise UserError(f"{folder}: --input and --output must be two folders, got the same for both")
    paths = []
    for parent, names in photo_folders(folder, skipped):
        images = [n for n in names if not n.startswith(".") and photo_formats.is_photo(parent / n)]
        masks = {f"{Path(name).stem}{MASK_ENDING}" for name in images}
        paths += [parent / name for name in images if name not in masks]
    if not paths:
        raise UserError(f"{folder}: must hold photos (JPEG, PNG, WebP, TIFF, ...), got none")
    return sorted(paths)


def input_photos(source: str | os.PathLike, skip: str | os.PathLike | None = None) -> tuple[Path, list[Path]]:
    """The photos of an `--input`, a folder (see `photo_paths`) or one image file, and the folder they are named from.

    Raises:
      UserError: the folder is missing or holds no images, or the file is not an image.
    """
    source = Path(source)
    if not source.is_file():
        return source, photo_paths(source, skip)
    photo_size(source)
    return source.parent, [source]


def result_names(paths: Iterable[Path], folder: Path, taken: Iterable[str] = ()) -> dict[Path, str]:
    """A unique name for the results of each photo: its path relative to `folder`, without suffix, separated by `/`.

    Names that would clash keep the suffix: portrait.jpg and portrait.png become portrait_jpg and portrait_png; likewise
    aux.jpg, because Windows cannot have a folder aux and results move between systems (`is_portable`). Characters that
    it does not have become `_`: 12:30.png gives 12_30_png. Names clash if they are equal up to upper and lower case
    (some file systems ignore it), equal the name of a folder in the same place, or equal one of `taken`, the names of
    other files in the results' folder.
    """
    relative = {path: path.relative_to(folder) for path in paths}
    short = {path: name.with_suffix("").as_posix() for path, name in relative.items()}
    counts = Counter(name.casefold() for name in short.values())
    folders = {parent.as_posix().casefold() for name in relative.values() for parent in name.parents}
    folders |= {name.casefold() for name in taken}
    clear = {
        path
        for path, name in short.items()
        if counts[name.casefold()] == 1 and name.casefold() not in folders and is_portable(path.stem)
    }
    used = {short[path].casefold() for path in clear} | folders
    names = {}
    for path, name in relative.items():
        if path in clear:
            names[path] = short[path]
            continue
        long = name.with_name(without_foreign(name.name.replace(".", "_"))).as_posix()
        while long.casefold() in used:
            long += "_"
        used.add(long.casefold())
        names[path] = long
    return names


def given_alpha(photo: np.ndarray) -> np.ndarray | None:
    """The photo's alpha channel (uint8 [H, W]) as a mask; None if it is missing or opaque everywhere."""
    if photo.shape[-1] == 3 or photo[..., 3].min() == 255:
        return None
    return photo[..., 3]


def _opened(path: str | os.PathLike, use):
    """Opens an image and returns `use(image, path)`; raises UserError if it is too large or damaged."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: must be an image file, got {kind_of(path)}")
    if not path.stat().st_size:
        raise UserError(f"{path}: must be an image, got an empty file")
    if (fault := photo_formats.fault(path)) is not None:
        raise UserError(f"{path}: must be a photo in a supported format (JPEG, PNG, ...), got {fault}")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit is lower and only warns; ours is checked below, before decoding any pixels.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module="PIL")  # about damaged EXIF, which costs the orientation at most
            with Image.open(path, formats=photo_formats.pillow_formats()) as image:
                limit = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
                if image.width * image.height > limit:
                    raise UserError(_too_large(path, f"{image.width} x {image.height}", limit))
                return use(image, path)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(_too_large(path, "more than that", MAX_PIXELS)) from None
    except Image.UnidentifiedImageError:
        if photo_formats.is_float_tiff(path):
            raise UserError(floating(path)) from None
        raise UserError(f"{path}: must be an image, got a file in an unknown format") from None
    except MemoryError:
        raise
    except OSError as error:
        if error.errno is None:  # Pillow's own, of a damaged file
            raise UserError(_damaged(path, error)) from None
        raise UserError(f"{path}: must be readable, got: {error.strerror}") from None
    except Exception as error:
        # Pillow's decoders raise exceptions of any kind for damaged files: TypeError, KeyError, struct.error, ...
        raise UserError(_damaged(path, error)) from None


def _upright_size(image: Image.Image, path: Path) -> tuple[int, int]:
    # Pillow itself applies the orientation of TIFFs.
    sideways = image.format != "TIFF" and _orientation(image) in _SIDEWAYS
    return (image.width, image.height) if sideways else (image.height, image.width)


def _decoded(image: Image.Image, path: Path) -> np.ndarray:
    factor = 1
    while (image.width // factor) * (image.height // factor) > WORKING_PIXELS:
        factor *= 2
    wanted = max(image.width // factor, 1), max(image.height // factor, 1)
    if factor > 1:
        image.draft(None, wanted)  # has no effect except for JPEG
    rest = factor // max(round(wanted[0] * factor / image.width), 1)
    image.load()  # before their ends, PNGs do not tell their orientation, and TIFFs have not been turned
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    small = in_eight_bits(image, path, cut=rest > 1)
    # Before the other steps: each of them would take as much memory as the whole photo.
    small = small if rest <= 1 else _reduced(small, rest)
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    return np.array(in_srgb(small, profile))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if there is none or EXIF is damaged: the pixels are whole nevertheless."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # of any kind
        return 1


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """An image of 8 bits at 1 / `factor` of its size: means of its pixels."""
    if image.mode not in _AVERAGED or (image.has_transparency_data and image.mode not in ("LA", "RGBA")):
        image = image.convert("L" if image.mode == "1" else "RGBA" if image.has_transparency_data else "RGB")
    # Of whole blocks, as far as there are any. `resize` would round twice, in columns and in rows, and brighten.
    x, y = min(factor, image.width), min(factor, image.height)
    box = (0, 0, image.width // x * x, image.height // y * y)
    # One by one, because Pillow would weight colours by alpha and lose those at alpha 0.
    bands = [image.getchannel(band).reduce((x, y), box) for band in range(len(image.getbands()))]
    return Image.merge(image.mode, bands)


def _too_large(path: Path, size: str, limit: int) -> str:
    return f"{path}: must have at most {limit / 1e6:.3g} million pixels, got {size} (scale it down)"


def _damaged(path: Path, error: BaseException) -> str:
    reason = one_line(error)
    return f"{path}: must be a complete image, got a damaged one ({reason})"
