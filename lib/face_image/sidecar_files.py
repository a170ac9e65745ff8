"""Landmarks and masks in files next to a photo, used instead of automatic detection.

For a photo `folder/name.jpg`, landmarks are read from the first of these files that exists:

* `folder/name.npy`: [5, 2] or [68, 2] (or flat: 10 or 136 numbers);
* `folder/name.txt`: 5 or 68 lines `x y`, separated by blanks, a tab or a comma;
* `folder/detections/name.txt`: as laid out by the PyTorch version of Deep3DFaceReconstruction, the same five lines.

Coordinates are pixels of the upright photo, origin at the top left, y down. The five points are: the eye at the image's
left, the eye at its right, the tip of the nose, the mouth corner at the image's left and the one at its right. The 68
points are those of the iBUG annotation (dlib, face-alignment).

`folder/name_mask.png` is the mask: same size as the photo, white on the face, black elsewhere. It takes precedence over
the photo's alpha.
"""

from pathlib import Path

import cv2
import numpy as np

from lib.face_image.alignment import five_points
from lib.face_image.photo_io import MASK_ENDING, photo_size, read_photo
from lib.face_image.quality import Unusable
from lib.files.numpy_files import read_npy

FAULT = "bad landmarks or mask"


def landmarks_path(photo: Path) -> Path | None:
    """Path of a photo's landmark file; None if there is none."""
    stem = photo.with_suffix("")
    candidates = (
        photo.with_name(f"{stem.name}.npy"),
        photo.with_name(f"{stem.name}.txt"),
        photo.parent / "detections" / f"{stem.name}.txt",
    )
    return next((path for path in candidates if path.is_file()), None)


def mask_path(photo: Path) -> Path | None:
    """Path of a photo's mask file; None if there is none."""
    path = photo.with_name(f"{photo.stem}{MASK_ENDING}")
    return path if path.is_file() else None


def given_points(photo: Path, size: tuple[int, int]) -> np.ndarray | None:
    """Reads the five points [5, 2] from a photo's landmark file; see `given_landmarks`."""
    landmarks = given_landmarks(photo, size)
    return five_points(landmarks) if landmarks is not None and len(landmarks) == 68 else landmarks


def given_landmarks(photo: Path, size: tuple[int, int]) -> np.ndarray | None:
    """Reads a photo's landmark file; None if there is none.

    Args:
      photo: path of the photo.
      size: (height, width) at which the photo was read; the landmarks are scaled to it.

    Returns:
      [5, 2] or [68, 2] pixels of the photo as it was read.

    Raises:
      Unusable: the file does not hold 5 or 68 points, or one of the five lies far outside the photo.
    """
    path = landmarks_path(photo)
    if path is None:
        return None
    points = _read_points(path)
    five = five_points(points) if len(points) == 68 else points
    height, width = photo_size(photo)
    # Detectors may place points of a face at the border slightly outside the photo.
    margin = 0.25 * max(height, width)
    if (five < -margin).any() or (five > (width + margin, height + margin)).any():
        raise Unusable(FAULT, f"{path.name}: points must lie in the photo of {width} x {height} px, got others")
    return points * (size[1] / width, size[0] / height)


def given_mask(photo: Path, size: tuple[int, int]) -> np.ndarray | None:
    """Reads a photo's mask file; None if there is none.

    Args:
      photo: path of the photo.
      size: (height, width) at which the photo was read; the mask is scaled to it.

    Returns:
      uint8 [H, W], 255 on the face.

    Raises:
      Unusable: the mask's size differs from the photo's, or the mask is empty or covers everything.
    """
    path = mask_path(photo)
    if path is None:
        return None
    wanted, got = photo_size(photo), photo_size(path)
    if wanted != got:
        raise Unusable(
            FAULT, f"{path.name}: must have the photo's {wanted[1]} x {wanted[0]} px, got {got[1]} x {got[0]}"
        )
    mask = read_photo(path)[..., 0]
    if mask.min() == 255 or mask.max() == 0:
        raise Unusable(FAULT, f"{path.name}: must be white on the face alone, got {mask.max()} everywhere")
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)


def _read_points(path: Path) -> np.ndarray:
    """Points [5, 2] or [68, 2] read from a file."""
    try:
        if path.suffix == ".npy":
            points = read_npy(path).astype(np.float64)
        else:
            points = np.array(path.read_text(encoding="utf-8").replace(",", " ").split(), np.float64)
    except (OSError, ValueError, TypeError):
        points = np.zeros(0)
    if points.size not in (10, 136) or not np.isfinite(points).all():
        raise Unusable(
            FAULT,
            f"{path.name}: must hold 5 or 68 points, a line 'x y' each, got {_content(points)} "
            "(prepare.beside=false ignores such files)",
        )
    return points.reshape(-1, 2)


def _content(points: np.ndarray) -> str:
    return f"{points.size} numbers" if points.size else "something else"
