"""From a photo, a file or an array of pixels, to the aligned crop of its face."""

import dataclasses
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_image.alignment import Alignment, align, five_points
from lib.face_image.detection import Face, detect_confident_faces
from lib.face_image.photo_io import given_alpha, read_photo
from lib.face_image.region import PhotoRegion, face_region
from lib.face_image.sidecar_files import given_mask, given_points
from lib.face_model.face_model import FaceModel
from lib.images.display import to_bytes


@dataclasses.dataclass(frozen=True)
class AlignedPhoto:
    """A photo's face, cropped.

    Attributes:
      name: of the file.
      photo_size: (height, width).
      face: the detection, in pixels of the photo.
      alignment: the crop, its points and the way back to the photo.
      alpha: [H, W] float32 mask of the crop that the photo brought along, or None.
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
      face_model: its mean landmarks are the template of the alignment.
      crop_size: side of the crops, pixels.
      min_confidence: detections below it are no faces.
      sidecars: use landmark and mask files next to a photo (`lib.face_image.sidecar_files`).
    """

    def __init__(self, face_model: FaceModel, crop_size: int, min_confidence: float, sidecars: bool = True):
        self.crop_size, self.min_confidence, self.sidecars = crop_size, min_confidence, sidecars
        self._template = five_points(face_model.mean_shape[face_model.landmarks])

    def read(self, path: Path) -> tuple[AlignedPhoto, PhotoRegion]:
        """The largest face of a photo, aligned, and the photo's own pixels around it, for textures.

        Raises:
          UserError: the file is no image, its sidecar files do not fit, or it shows no face.
        """
        photo, faces = self.find(path, 1)
        return self._with_region(path.name, photo, faces[0])

    def read_array(self, pixels: np.ndarray, name: str) -> tuple[AlignedPhoto, PhotoRegion]:
        """As `read`, of an image in memory.

        Args:
          pixels: [H, W, 3] RGB or [H, W, 4] RGBA, uint8, or floating point in [0, 1]; an alpha channel that is not
            opaque everywhere is the face's mask.
          name: what to call it in messages and results.

        Raises:
          UserError: the array is no such image, or shows no face.
        """
        photo = photo_bytes(pixels, name)
        faces = detect_confident_faces(photo, name, self.min_confidence, 1)
        return self._with_region(name, photo, faces[0])

    def find(self, path: Path, most: int | None = None) -> tuple[np.ndarray, list[Face]]:
        """A photo and its faces.

        Args:
          path: the photo.
          most: the largest so many faces; None for all.

        Returns:
          uint8 [H, W, 3 or 4] pixels, with alpha where the photo brings a mask along; faces, the largest first, or the
          one whose landmarks stand in a sidecar file.

        Raises:
          UserError: the file is no image, its sidecar files do not fit, or it shows no face.
        """
        photo = read_photo(path)
        points = None
        if self.sidecars:
            points, mask = given_points(path, photo.shape[:2]), given_mask(path, photo.shape[:2])
            if mask is not None:
                photo = np.dstack([photo[..., :3], mask])
        if points is not None:
            return photo, [_given_face(points)]
        return photo, detect_confident_faces(photo, path.name, self.min_confidence, most)

    def aligned(self, name: str, photo: np.ndarray, face: Face) -> AlignedPhoto:
        """A face of the photo uint8 [H, W, 3 or 4], cropped."""
        alignment = align(photo, face.points, self._template, self.crop_size)
        alpha = None
        if given_alpha(photo) is not None:
            alpha = alignment.crop[..., 3].astype(np.float32) / 255
        return AlignedPhoto(name, photo.shape[:2], face, alignment, alpha)

    def _with_region(self, name: str, photo: np.ndarray, face: Face) -> tuple[AlignedPhoto, PhotoRegion]:
        aligned = self.aligned(name, photo, face)
        return aligned, face_region(photo, aligned.alignment)


def photo_bytes(pixels: np.ndarray, name: str) -> np.ndarray:
    """An image in memory as uint8 [H, W, 3 or 4].

    Raises:
      UserError: wrong type, shape, or values out of range.
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


def _given_face(points: np.ndarray) -> Face:
    """A face of given points [5, 2], its box about as large as a detector's."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    side = 2.5 * max(np.linalg.norm(mouth - eyes), np.linalg.norm(points[1] - points[0]))
    corner = (eyes + mouth) / 2 - side / 2
    return Face(np.array([*corner, side, side]), points, 1.0)
