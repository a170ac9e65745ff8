"""Reads photos, from files or arrays, and aligns their faces to crops."""

import dataclasses
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_image.alignment import Alignment, align, five_points
from lib.face_image.detection import Face, detect_confident_faces
from lib.face_image.photo_io import given_alpha, read_photo
from lib.face_image.region import PhotoRegion, face_region
from lib.face_image.sidecar_files import given_landmarks, given_mask
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.images.display import to_bytes


@dataclasses.dataclass(frozen=True)
class AlignedPhoto:
    """The cropped and aligned face of a photo.

    Attributes:
      name: name of the file.
      photo_size: (height, width).
      face: the detection, in pixels of the photo.
      alignment: the crop, its points, and the transform to the photo.
      alpha: [H, W] float32 mask of the crop if one was supplied with the photo, else None.
    """

    name: str
    photo_size: tuple[int, int]
    face: Face
    alignment: Alignment
    alpha: np.ndarray | None

    @property
    def rgb(self) -> np.ndarray:
        """[H, W, 3] float32 RGB in [0, 1]."""
        return self.alignment.crop[..., :3].astype(np.float32) / 255


class PhotoReader:
    """Reads photos, detects their faces and aligns them.

    Args:
      face_model: face model whose mean landmarks are the template of the alignment.
      crop_size: side of the crops, pixels.
      min_confidence: detections below it are ignored.
      sidecars: use landmark and mask files next to a photo (`lib.face_image.sidecar_files`).
    """

    def __init__(self, face_model: FaceModel, crop_size: int, min_confidence: float, sidecars: bool = True):
        self.crop_size, self.min_confidence, self.sidecars = crop_size, min_confidence, sidecars
        self._template = five_points(face_model.mean_shape[face_model.landmarks])

    def read(self, path: Path) -> tuple[AlignedPhoto, PhotoRegion]:
        """Reads a photo; returns its largest face, aligned, and the original pixels around it, for textures.

        Raises:
          UserError: the file is not an image, its sidecar files do not fit, or it shows no face.
        """
        photo, faces = self.find(path, 1)
        return self._with_region(path.name, photo, faces[0])

    def read_array(self, pixels: np.ndarray, name: str) -> tuple[AlignedPhoto, PhotoRegion]:
        """Same as `read`, for an image in memory.

        Args:
          pixels: [H, W, 3] RGB or [H, W, 4] RGBA, uint8, or floating point in [0, 1]; an alpha channel that is not
            opaque everywhere is the face's mask.
          name: name of the image in messages and results.

        Raises:
          UserError: the array is not such an image, or shows no face.
        """
        photo = photo_bytes(pixels, name)
        faces = detect_confident_faces(photo, name, self.min_confidence, 1)
        return self._with_region(name, photo, faces[0])

    def find(self, path: Path, most: int | None = None) -> tuple[np.ndarray, list[Face]]:
        """Reads a photo and detects its faces.

        Args:
          path: the photo.
          most: return at most this many of the largest faces; None for all.

        Returns:
          Pixels, uint8 [H, W, 3 or 4], with alpha if the photo or a sidecar file has a mask; and the faces, largest
          first, or the single face whose landmarks are given in a sidecar file.

        Raises:
          UserError: the file is not an image, its sidecar files do not fit, or it shows no face.
        """
        photo = read_photo(path)
        points = None
        if self.sidecars:
            points, mask = given_landmarks(path, photo.shape[:2]), given_mask(path, photo.shape[:2])
            if mask is not None:
                photo = np.dstack([photo[..., :3], mask])
        if points is not None:
            return photo, [_given_face(points)]
        return photo, detect_confident_faces(photo, path.name, self.min_confidence, most)

    def aligned(self, name: str, photo: np.ndarray, face: Face) -> AlignedPhoto:
        """Crops and aligns a face of a photo, uint8 [H, W, 3 or 4]."""
        alignment = align(photo, face.points, self._template, self.crop_size)
        alpha = None
        if given_alpha(photo) is not None:
            alpha = alignment.crop[..., 3].astype(np.float32) / 255
        return AlignedPhoto(name, photo.shape[:2], face, alignment, alpha)

    def _with_region(self, name: str, photo: np.ndarray, face: Face) -> tuple[AlignedPhoto, PhotoRegion]:
        aligned = self.aligned(name, photo, face)
        return aligned, face_region(photo, aligned.alignment)


def photo_bytes(pixels: np.ndarray, name: str) -> np.ndarray:
    """Converts an image in memory to uint8 [H, W, 3 or 4].

    Raises:
      UserError: wrong type or shape, or values out of range.
    """
    if not isinstance(pixels, np.ndarray):
        raise UserError(f"{name}: a photo must be a path or a NumPy array, got {type(pixels).__name__}")
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4) or 0 in pixels.shape:
        raise UserError(f"{name}: pixels must be [H, W, 3] RGB or [H, W, 4] RGBA, got {list(pixels.shape)}")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UserError(f"{name}: pixels must be uint8, or floating point in [0, 1], got {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise UserError(f"{name}: pixels must be finite, got {int((~np.isfinite(pixels)).sum())} values that are not")
    if pixels.min() < 0 or pixels.max() > 1:
        raise UserError(
            f"{name}: floating-point pixels must lie in [0, 1], got {pixels.min():g}..{pixels.max():g} "
            "(divide by 255, or pass uint8)"
        )
    return to_bytes(pixels)


def _given_face(given: np.ndarray) -> Face:
    """Face at given points [5, 2] or landmarks [68, 2], with a box about as large as a detector's."""
    landmarks = given if len(given) == LANDMARKS else None
    points = given if landmarks is None else five_points(landmarks)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    side = 2.5 * max(np.linalg.norm(mouth - eyes), np.linalg.norm(points[1] - points[0]))
    corner = (eyes + mouth) / 2 - side / 2
    return Face(np.array([*corner, side, side]), points, 1.0, given=True, landmarks=landmarks)
