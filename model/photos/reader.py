"""From a photo file to an aligned crop with a mask and a first guess of the face's coefficients."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from lib.face_image.alignment import FIVE_FROM_68, Alignment, align
from lib.face_image.detection import Face, detect_confident_faces
from lib.face_image.parsing import FaceParser
from lib.face_image.photo_io import given_alpha, read_photo
from lib.face_image.pose import solve_pose
from lib.face_image.region import PhotoRegion, face_region
from lib.face_image.segmentation import segment
from lib.face_image.sidecar_files import given_mask, given_points
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import triangle_ids
from model.morphable_model import MorphableModel

# The regressed shape may be changed by this much (fraction of the deformations' prior) to meet the detected points.
CORRECTION = 0.5


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
    """Reads, detects, aligns and masks photos for one face model and camera.

    Args:
      model: the face model; its mean landmarks are the template of the alignment.
      camera: that of the crops.
      min_confidence: detections below it are no faces.
      beside: use landmarks and masks that lie beside a photo (`lib.face_image.sidecar_files`).
      parser: finds the masks of photos that bring none; None for the graph cut around the posed face.
    """

    def __init__(
        self,
        model: MorphableModel,
        camera: Camera,
        min_confidence: float,
        beside: bool = True,
        parser: FaceParser | None = None,
    ):
        self.model, self.camera, self.min_confidence = model, camera, min_confidence
        self.beside, self.parser = beside, parser
        face_model = model.face_model
        self._template = _five(face_model.mean_shape[face_model.landmarks])
        bases = (face_model.identity_basis, face_model.expression_basis)
        self._deformations = np.concatenate([_five(basis[:, face_model.landmarks]) for basis in bases])

    def read(self, path: Path) -> tuple[AlignedPhoto, PhotoRegion]:
        """The largest face of a photo, aligned, and the photo's own pixels around it, for textures.

        Raises:
          UserError: the file is no image, what lies beside it does not fit, or there is no face.
        """
        photo, faces = self.find(path, 1)
        aligned = self.aligned(path.name, photo, faces[0])
        return aligned, face_region(photo, aligned.alignment)

    def find(self, path: Path, most: int | None = None) -> tuple[np.ndarray, list[Face]]:
        """A photo and its faces.

        Args:
          path: the photo.
          most: the largest so many faces; None for all.

        Returns:
          uint8 [H, W, 3 or 4] pixels, with alpha where the photo brings a mask along; faces, the largest first, or the
          one whose landmarks lie beside the photo.

        Raises:
          UserError: the file is no image, what lies beside it does not fit, or there is no face.
        """
        photo = read_photo(path)
        points = None
        if self.beside:
            points, mask = given_points(path, photo.shape[:2]), given_mask(path, photo.shape[:2])
            if mask is not None:
                photo = np.dstack([photo[..., :3], mask])
        if points is not None:
            return photo, [_given_face(points)]
        return photo, detect_confident_faces(photo, path.name, self.min_confidence, most)

    def aligned(self, name: str, photo: np.ndarray, face: Face) -> AlignedPhoto:
        """A face of the photo uint8 [H, W, 3 or 4], cropped."""
        alignment = align(photo, face.points, self._template, self.camera.image_size[0])
        alpha = None
        if given_alpha(photo) is not None:
            alpha = alignment.crop[..., 3].astype(np.float32) / 255
        return AlignedPhoto(name, photo.shape[:2], face, alignment, alpha)

    def place(self, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Coefficients [1, K] with pose and shape changed as little as it takes to meet the five points [5, 2]."""
        parts = self.model.layout.split(np.asarray(coefficients, np.float32))
        shape = np.concatenate([parts.identity, parts.expression], axis=-1)[0]
        positions = self._template + np.einsum("k,kmc->mc", shape, self._deformations)
        pose = solve_pose(points, positions, self.camera, CORRECTION * self._deformations)
        identity, expression = np.split(shape + CORRECTION * pose.coefficients, [self.model.layout.identity])
        placed = dataclasses.replace(
            parts,
            identity=identity[None],
            expression=expression[None],
            angles=pose.angles[None],
            translation=pose.translation[None],
        )
        return self.model.layout.join(placed).astype(np.float32)

    def mask(self, photo: AlignedPhoto, coefficients: np.ndarray, fitted: bool = False) -> np.ndarray:
        """Alpha [H, W] float32: the photo's own, the parser's, or else found around the face of `coefficients` [1, K].

        Args:
          photo: the aligned photo.
          coefficients: of the face, guessed or `fitted` to this photo.
          fitted: see `lib.face_image.segmentation.segment`.
        """
        if photo.alpha is not None:
            return photo.alpha
        alignment = photo.alignment
        if self.parser is not None:
            return self.parser(alignment.crop[..., :3]) * alignment.inside
        silhouette = self.silhouette(coefficients)
        alpha = segment(
            alignment.crop[..., :3], alignment.points, silhouette, alignment.inside, soft=True, fitted=fitted
        )
        return alpha.astype(np.float32) / 255

    def silhouette(self, coefficients: np.ndarray) -> np.ndarray:
        """Bool [H, W], where the face of coefficients [1, K] stands in the crop."""
        posed = self.model.posed(tf.constant(coefficients), self.camera)
        clip = self.camera.clip_coordinates(posed.vertices)
        return triangle_ids(clip, self.model.triangles, self.camera.image_size)[0].numpy() >= 0


def readable_mask(photo: AlignedPhoto, alpha: np.ndarray) -> np.ndarray:
    """Where the colours of a photo may be read, [H, W] float32, for its mask `alpha` [H, W].

    A mask that the photo brought along is taken at its word. A found one is right to a pixel or two: its last pixel is
    left out: hair and background there would show as a seam as soon as the face is turned.
    """
    if photo.alpha is not None:
        return alpha
    return cv2.erode((alpha >= 0.5).astype(np.float32), np.ones((3, 3), np.uint8))


def _given_face(points: np.ndarray) -> Face:
    """A face of given points [5, 2], its box about as large as a detector's."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    side = 2.5 * max(np.linalg.norm(mouth - eyes), np.linalg.norm(points[1] - points[0]))
    corner = (eyes + mouth) / 2 - side / 2
    return Face(np.array([*corner, side, side]), points, 1.0)


def _five(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks [..., 68, 3] to the detector's five points [..., 5, 3]."""
    return np.einsum("pm,...mc->...pc", FIVE_FROM_68.astype(np.float64), landmarks)
