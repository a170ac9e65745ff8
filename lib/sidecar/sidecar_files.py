"""Landmarks and masks in files next to a photo, used instead of automatic detection.

For a photo `folder/name.jpg`, landmarks are read from the first of these files that exists:

* `folder/name.npy`: [5, 2], [68, 2] or [468, 2]; also transposed, flat, or with a third column;
* `folder/name.txt`: 5, 68 or 468 lines `x y`, separated by blanks, tabs or commas;
* `folder/name.pts`: 68 points of the 300-W data;
* `folder/detections/name.txt`: as laid out by the PyTorch version of Deep3DFaceReconstruction, the same five lines.

Coordinates are pixels of the upright photo, origin at the top left, y down (in .pts files, the first pixel's centre is
(1, 1)). The five points are: the eye at the image's left, the eye at its right, the tip of the nose, the mouth corner
at the image's left and the one at its right. The 68 points are those of the iBUG annotation (dlib, face-alignment), the
468 those of MediaPipe's face mesh.

A `name.txt` that is no list of numbers (`is_other_text`), such as a caption, is ignored.

`folder/name_mask.png` is the mask: same size as the photo, white on the face, black elsewhere. It takes precedence over
the photo's alpha.
"""

import contextlib
import dataclasses
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from lib.face_image.alignment import five_points
from lib.face_image.photo_io import MASK_ENDING, given_alpha, photo_size, read_photo
from lib.face_image.quality import Unusable
from lib.files.file_names import names_file, printable
from lib.sidecar.landmark_order import in_order, in_pixels, other_orders
from lib.sidecar.landmark_reading import is_other_text, read_points

# Smallest value of the face in a mask, and the largest difference between the channels of a grey pixel.
WHITE, GREY = 128, 16
# Values up to the first are black and from the second on white, as JPEGs and brushes leave them.
_BLACK, _PURE_WHITE = 16, 239
# Share of the pixels that may be otherwise: coloured, or between black and white.
_FEW = 0.01
FAULT = "bad landmarks or mask"
ADVICE = "prepare.beside=false ignores such files"
# Explains refused points.
ORDER = (
    "five points are eye, eye, nose tip, mouth corner, mouth corner, each pair from the image's left to its right; "
    "dlib's own five have no mouth, so give its 68"
)


@dataclasses.dataclass(frozen=True)
class GivenLandmarks:
    """Landmarks from a file.

    Attributes:
      points: [M, 2] pixels of the photo as it was read, M of 5, 68 or 468.
      file: name of the file.
      remark: what was changed to bring them into this program's order and frame; empty if nothing was.
      others: the same for each other order and frame that the file may be in.
    """

    points: np.ndarray
    file: str
    remark: str
    others: tuple["GivenLandmarks", ...] = ()


def landmarks_path(photo: Path) -> Path | None:
    """Path of a photo's landmark file; None if there is none. Texts without landmarks, such as captions, are none."""
    return next((path for path in _landmark_places(photo) if names_file(path) and not is_other_text(path)), None)


def mask_path(photo: Path) -> Path | None:
    """Path of a photo's mask file; None if there is none."""
    path = _mask_place(photo)
    return path if names_file(path) else None


def sidecar_files(photos: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
    """The landmark and mask files of photos, as they are now; photos without any have an empty tuple.

    Each folder is listed once: to look for each file by its name takes long on a file system of a network.
    """
    listed: dict[Path, frozenset[str]] = {}

    def is_there(path: Path) -> bool:
        if path.parent not in listed:
            listed[path.parent] = _file_names(path.parent)
        return path.name in listed[path.parent]

    found = {}
    for photo in photos:
        present = list(filter(is_there, _landmark_places(photo)))
        if len(present) > 1:  # the one that is used, and the texts before it, of which `report_sidecars` tells
            used = next((number for number, path in enumerate(present) if not is_other_text(path)), len(present))
            present = present[: used + 1]
        found[photo] = (*present, *filter(is_there, [_mask_place(photo)]))
    return found


def report_sidecars(sidecars: Mapping[Path, Iterable[Path]]) -> None:
    """Tells of texts that are no landmarks, and of files that several photos share, as portrait.jpg and .png would.

    The latter are right for one picture in several formats, and wrong for all but one of several pictures.

    Args:
      sidecars: `sidecar_files` of the photos of a run.
    """
    owners: dict[Path, list[str]] = defaultdict(list)
    for photo, files in sidecars.items():
        for file in files:
            owners[file].append(photo.name)
    texts = [file for file in owners if is_other_text(file)]
    if texts:
        which = f"{len(texts)} texts, the first " if len(texts) > 1 else ""
        print(f"no landmarks, ignored: {which}{printable(str(texts[0]))}", file=sys.stderr)
    shared = {file: photos for file, photos in owners.items() if len(photos) > 1 and file not in texts}
    if shared:
        file, names = next(iter(shared.items()))
        more = f"; {len(shared) - 1} more such files" if len(shared) > 1 else ""
        print(
            f"{printable(str(file))}: used for {' and '.join(map(printable, names))}, which must show the same picture "
            f"(otherwise rename all but one{more})",
            file=sys.stderr,
        )


def check_still_there(files: Iterable[Path]) -> None:
    """Raises Unusable if a sidecar file that a run has found at its start is gone, so that nothing else is used."""
    for file in files:
        if not names_file(file):
            raise Unusable(
                FAULT, f"{file.name}: must stay until its photo is read, got it deleted (run again to do without it)"
            )


def _landmark_places(photo: Path) -> tuple[Path, ...]:
    names = [f"{photo.stem}{suffix}" for suffix in (".npy", ".txt", ".pts")]
    return (*map(photo.with_name, names), photo.parent / "detections" / f"{photo.stem}.txt")


def _mask_place(photo: Path) -> Path:
    return photo.with_name(f"{photo.stem}{MASK_ENDING}")


def _file_names(folder: Path) -> frozenset[str]:
    """Names of the files in a folder; none if there is none. One that may not be listed is reported."""
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # a circle of links
                    if entry.is_file():
                        names.add(entry.name)
    except PermissionError as error:
        print(f"{folder}: must be listed to find landmarks and masks, got: {error.strerror}", file=sys.stderr)
    except OSError:
        pass
    return frozenset(names)


def given_landmarks(photo: Path, size: tuple[int, int]) -> GivenLandmarks | None:
    """Reads a photo's landmark file; None if there is none.

    Landmarks in another known order or frame are brought into this program's, with a remark.

    Args:
      photo: path of the photo.
      size: (height, width) at which the photo was read; the landmarks are scaled to it.

    Raises:
      Unusable: the file does not hold 5, 68 or 468 points, the face is inside out, or one of the five points lies far
        outside the photo.
    """
    path = landmarks_path(photo)
    if path is None:
        return None
    try:
        points = read_points(path)
    except (OSError, ValueError, TypeError) as error:
        raise Unusable(
            FAULT,
            f"{path.name}: must hold 5, 68 or 468 points, a line 'x y' each, got {error} ({ADVICE})",
        ) from None
    true_size = height, width = photo_size(photo)

    def as_given(points: np.ndarray, order: str) -> GivenLandmarks:
        points, unit = in_pixels(points, true_size)
        remark = f"{path.name}: {'; '.join(filter(None, (unit, order)))}" if unit or order else ""
        return GivenLandmarks(points * (size[1] / width, size[0] / height), path.name, remark)

    try:
        given = as_given(*in_order(points, true_size))
    except ValueError as error:
        raise Unusable(
            FAULT, f"{path.name}: points must be pixels with y down, in this program's order, got {error} ({ORDER})"
        ) from None
    # Detectors may place points of a face at the border slightly outside the photo.
    margin, five = 0.25 * max(size), five_points(given.points)
    if (five < -margin).any() or (five > (size[1] + margin, size[0] + margin)).any():
        raise Unusable(
            FAULT, f"{path.name}: points must lie in the photo of {width} x {height} px, got others ({ADVICE})"
        )
    others = [as_given(*order) for order in other_orders(points, true_size)]
    return dataclasses.replace(given, others=tuple(others))


def given_mask(photo: Path, size: tuple[int, int]) -> np.ndarray | None:
    """Reads a photo's mask file; None if there is none.

    Args:
      photo: path of the photo.
      size: (height, width) at which the photo was read; the mask is scaled to it.

    Returns:
      uint8 [H, W], 255 on the face.

    Raises:
      Unusable: the mask's size differs from the photo's, it has colours, or it is empty or covers everything.
    """
    path = mask_path(photo)
    if path is None:
        return None
    wanted, got = photo_size(photo), photo_size(path)
    if wanted != got:
        sizes = f"{wanted[1]} x {wanted[0]} px, got {got[1]} x {got[0]}"
        raise Unusable(FAULT, f"{path.name}: must have the photo's {sizes} ({ADVICE})")
    mask = _grey(read_photo(path), path.name)
    if mask.min() >= WHITE or mask.max() == 0:
        raise Unusable(FAULT, f"{path.name}: must be white on the face alone, got {mask.max()} everywhere ({ADVICE})")
    if (most := mask.max()) < WHITE:
        hint = " (a mask of 0 and 1? multiply it by 255)" if most == 1 else ""
        raise Unusable(FAULT, f"{path.name}: must be 255 on the face, got at most {most}{hint}")
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)


def _grey(pixels: np.ndarray, name: str) -> np.ndarray:
    """The mask [H, W] in an image, uint8 [H, W, 3 or 4]: its black and white, or else its alpha, or its grey values.

    Programs that write images may leave any alpha in a mask: all but opaque, or transparent at one of its two colours.
    """
    colours = pixels[..., :3]
    coloured = float(np.mean(np.ptp(colours, axis=2) > GREY))
    grey = np.rint(colours.mean(axis=2)).astype(np.uint8)
    if coloured <= _FEW and _is_mask(grey):
        return grey
    alpha = given_alpha(pixels)
    if alpha is not None and alpha.min() < WHITE <= alpha.max():
        return alpha
    if coloured > _FEW:
        raise Unusable(FAULT, f"{name}: must be white on the face and black elsewhere, got colours (save it in grey)")
    return grey


def _is_mask(grey: np.ndarray) -> bool:
    """Whether values [H, W] are black and white, both of them."""
    black, white = grey <= _BLACK, grey >= _PURE_WHITE
    return bool(black.any() and white.any() and np.mean(black | white) >= 1 - _FEW)
