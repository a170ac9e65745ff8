"""Reads photos, from files or arrays, and aligns their faces to crops."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_image.alignment import Alignment, align, five_points
from lib.face_image.detection import Face, detect_confident_faces
from lib.face_image.photo_io import given_alpha, read_sized
from lib.face_image.quality import Unusable
from lib.face_image.region import PhotoRegion, face_region
from lib.face_mesh.network import find_mesh_points
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.display import to_bytes
from lib.sidecar.sidecar_files import ADVICE, FAULT, check_still_there, given_landmarks, given_mask
from model.photos.given_faces import GivenFaces
from model.photos.landmark_check import LandmarkCheck

# np.rot90's quarter turns (counter-clockwise) -> the remark on a photo that needs them.
TURNS = {
    1: "lies on its side; turned by 90 degrees counter-clockwise",
    3: "lies on its side; turned by 90 degrees clockwise",
    2: "is upside down; turned by 180 degrees",
}
# Detections beyond the largest count without the 468-point network's word from this confidence on.
CERTAIN = 0.99
# The ground of a cut-out has one colour: this share of its pixels are within so many levels of 255.
PLAIN, LEVELS = 0.9, 3
# A photo's own alpha is no mask if it is opaque on this share of the face's crop.
OPAQUE = 0.98


@dataclasses.dataclass(frozen=True)
class AlignedPhoto:
    """The cropped and aligned face of a photo.

    Attributes:
      name: name of the file.
      photo_size: (height, width) of the photo in its file, upright; large photos are read at a smaller one.
      face: the detection, in pixels of the photo in its file.
      alignment: the crop, its points, and the transform to the photo in its file.
      alpha: [H, W] float32 mask of the crop if one was supplied with the photo, else None.
      turns: quarter turns, counter-clockwise, that made the photo upright; everything else refers to the turned photo.
      remark: what was changed in the photo or its landmarks, for the user; empty if nothing was.
      own_alpha: whether the mask is the photo's own alpha channel, which may show more than the face.
      photo_inside: [H, W] bool, pixels that the photo covers; None unless a cut-out has narrowed `alignment.inside`.
    """

    name: str
    photo_size: tuple[int, int]
    face: Face
    alignment: Alignment
    alpha: np.ndarray | None
    turns: int = 0
    remark: str = ""
    own_alpha: bool = False
    photo_inside: np.ndarray | None = None

    @property
    def covered(self) -> np.ndarray:
        """[H, W] bool, pixels of the crop that the photo covers."""
        return self.alignment.inside if self.photo_inside is None else self.photo_inside

    @property
    def rgb(self) -> np.ndarray:
        """[H, W, 3] float32 RGB in [0, 1]."""
        return self.alignment.crop[..., :3].astype(np.float32) / 255

    @property
    def shows_surroundings(self) -> bool:
        """Whether the photo goes on beyond a given mask; otherwise the face is a cut-out on a plain ground."""
        if self.alpha is None:
            return True
        ground = self.alignment.crop[(self.alpha < 0.5) & self.alignment.inside, :3]
        if not len(ground):
            return False
        apart = np.abs(ground - np.median(ground, axis=0)).max(axis=1)
        return float(np.mean(apart <= LEVELS)) < PLAIN


@dataclasses.dataclass(frozen=True)
class FoundFaces:
    """A photo and the faces in it.

    Attributes:
      pixels: uint8 [H, W, 3 or 4], with alpha if the photo or a sidecar file has a mask; turned upright.
      faces: largest first, or the single face whose landmarks are given in a sidecar file.
      turns, remark: as in `AlignedPhoto`.
      mask_file: whether the alpha of `pixels` is a sidecar file's.
      file_size: (height, width) of the photo in its file, turned as `pixels`; None if it is that of `pixels`.
    """

    pixels: np.ndarray
    faces: list[Face]
    turns: int = 0
    remark: str = ""
    mask_file: bool = False
    file_size: tuple[int, int] | None = None

    @property
    def photo_size(self) -> tuple[int, int]:
        """(height, width) of the photo in its file, turned as `pixels`."""
        return self.pixels.shape[:2] if self.file_size is None else self.file_size

    @property
    def ratio(self) -> np.ndarray:
        """[2] by how much the photo in its file is larger than `pixels`, in x and y."""
        return np.array(self.photo_size[::-1]) / self.pixels.shape[1::-1]


class PhotoReader:
    """Reads photos, detects their faces and aligns them.

    Args:
      face_model: face model whose mean landmarks are the template of the alignment.
      camera: camera of the crops.
      min_confidence: detections below it are ignored.
      sidecars: use landmark and mask files next to a photo (`lib.sidecar.sidecar_files`).
    """

    def __init__(self, face_model: FaceModel, camera: Camera, min_confidence: float, sidecars: bool = True):
        self.crop_size, self.min_confidence, self.sidecars = camera.image_size[0], min_confidence, sidecars
        self._template = five_points(face_model.mean_shape[face_model.landmarks])
        self._given_face = GivenFaces(self._template, min_confidence)
        self._check_landmarks = LandmarkCheck(face_model, camera)

    def read(self, path: Path, expected: Iterable[Path] = ()) -> tuple[AlignedPhoto, PhotoRegion]:
        """Reads a photo; returns its largest face, aligned, and the original pixels around it, for textures.

        Arguments and errors as in `find`.
        """
        found = self.find(path, 1, expected)
        return self.with_region(path.name, found, found.faces[0])

    def find(self, path: Path, most: int | None = None, expected: Iterable[Path] = ()) -> FoundFaces:
        """Reads a photo and detects its faces.

        Args:
          path: the photo.
          most: return at most this many of the largest faces; None for all.
          expected: its sidecar files when the run began.

        Raises:
          UserError: the file is not an image, its sidecar files do not fit or are gone, or it shows no face.
        """
        photo, size = read_sized(path)
        given = mask = None
        if self.sidecars:
            given, mask = given_landmarks(path, photo.shape[:2]), given_mask(path, photo.shape[:2])
            check_still_there(expected)  # last, because they may be deleted at any moment before
            if mask is not None:
                photo = np.dstack([photo[..., :3], mask])
        if given is not None:
            face, remark = self._given_face(photo, given)
            return FoundFaces(photo, [face], remark=remark, mask_file=mask is not None, file_size=size)
        found = self._detected(photo, path.name, most)
        size = size[::-1] if found.turns % 2 else size
        return dataclasses.replace(found, mask_file=mask is not None, file_size=size)

    def find_in_array(self, pixels: np.ndarray, name: str, most: int | None = None) -> FoundFaces:
        """Same as `find`, for an image in memory.

        Args:
          pixels: [H, W, 3] RGB or [H, W, 4] RGBA, uint8, or floating point in [0, 1]; an alpha channel that is not
            opaque all over the face's crop is the face's mask.
          name: name of the image in messages.
          most: as in `find`.

        Raises:
          UserError: the array is not such an image, or shows no face.
        """
        return self._detected(photo_bytes(pixels, name), name, most)

    def aligned(self, name: str, found: FoundFaces, face: Face) -> AlignedPhoto:
        """Crops and aligns one of the found faces.

        A photo's own alpha that is opaque all over the crop, as beside rounded corners, is no mask. A mask file's
        always is.

        Raises:
          Unusable: given landmarks do not fit a face.
        """
        photo = found.pixels
        try:
            alignment = align(photo, face.points, self._template, self.crop_size)
        except ValueError as error:
            if not face.given:
                raise
            raise Unusable(FAULT, f"{face.given}: {error} ({ADVICE})") from None
        if face.given:
            self._check_landmarks(face, alignment)
        alpha = None
        if given_alpha(photo) is not None:
            alpha = alignment.crop[..., 3].astype(np.float32) / 255
            if not found.mask_file and (alpha[alignment.inside] >= 0.5).mean() >= OPAQUE:
                alpha = None
        own, ratio = alpha is not None and not found.mask_file, found.ratio
        face, alignment = face.in_larger(ratio), alignment.in_larger(ratio)
        return AlignedPhoto(name, found.photo_size, face, alignment, alpha, found.turns, found.remark, own)

    def reference_crop(self, found: FoundFaces, face: Face, aligned: AlignedPhoto) -> np.ndarray:
        """The crop of a found face, once aligned, at REFERENCE_SIZE, uint8 RGB, whatever the size of other crops."""
        if self.crop_size == REFERENCE_SIZE:
            return aligned.alignment.crop[..., :3]
        return align(found.pixels[..., :3], face.points, self._template).crop

    def with_region(self, name: str, found: FoundFaces, face: Face) -> tuple[AlignedPhoto, PhotoRegion]:
        """Aligns one of the found faces; returns it and the original pixels around it."""
        aligned = self.aligned(name, found, face)
        return aligned, face_region(found.pixels, aligned.alignment, aligned.photo_size)

    def _detected(self, photo: np.ndarray, name: str, most: int | None) -> FoundFaces:
        """Detects faces, and turns the photo if it shows faces only then.

        The detector finds hardly any faces that lie on their side. In turned photos the 468-point network must confirm
        each face, because four attempts find four times as many false ones. It must also confirm a doubtful face beside
        a larger one.
        """
        try:
            faces = detect_confident_faces(photo, name, self.min_confidence, most)
            return FoundFaces(photo, [faces[0], *(face for face in faces[1:] if _is_face(photo, face))])
        except Unusable:
            best, certainty = None, 0.0
            for turns, remark in TURNS.items():
                turned = np.ascontiguousarray(np.rot90(photo, turns))
                confirmed = self._confirmed(turned, name)[:most]
                surest = max((probability for probability, _ in confirmed), default=0.0)
                if surest > certainty:
                    best, certainty = FoundFaces(turned, [face for _, face in confirmed], turns, remark), surest
            if best is None:
                raise
            return best

    def _confirmed(self, photo: np.ndarray, name: str) -> list[tuple[float, Face]]:
        """Confidently detected faces that the 468-point network confirms, each with its probability; largest first.

        All detections are asked about: beside a real face, the largest may be a false one.
        """
        try:
            faces = detect_confident_faces(photo, name, self.min_confidence)
        except Unusable:
            return []
        seen = [find_mesh_points(photo[..., :3], face.points) for face in faces]
        return [(points.face, face) for points, face in zip(seen, faces, strict=True) if points.is_face]


def _is_face(photo: np.ndarray, face: Face) -> bool:
    """Whether a detection is certain, or the 468-point network confirms it."""
    return face.confidence >= CERTAIN or find_mesh_points(photo[..., :3], face.points).is_face


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
