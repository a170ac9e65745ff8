"""A synthetic clip of one person with known pose and expression in every frame, for the benchmark of tracking."""

import dataclasses

import cv2
import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import BlendShapes
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.sampling_priors import Moment
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from model.gaze import RADIUS

FRAME_RATE = 30.0
HEIGHT, WIDTH = 480, 640
# Side of the rendered square around the face, pixels.
SQUARE = 288
NOISE = 0.012  # of the camera, RGB in [0, 1]
# Largest shift of the irises across and up, canonical millimetres, and its frequencies, Hz.
GAZE, GAZE_RATE = np.array([3.4, 1.8]), np.array([0.4, 0.23])
# ARKit's name -> weight at the height of its pulses, seconds between them, when the first one is, their sharpness.
PULSES = {
    "jawOpen": (0.6, 2.2, 0.9, 2),
    "mouthSmileLeft": (0.7, 3.3, 2.0, 2),
    "mouthSmileRight": (0.7, 3.3, 2.0, 2),
    "mouthPucker": (0.6, 4.1, 3.4, 2),
    "browInnerUp": (0.7, 2.7, 1.4, 2),
    "browOuterUpLeft": (0.6, 5.4, 1.4, 2),
    "browOuterUpRight": (0.6, 5.4, 1.4, 2),
    "browDownLeft": (0.7, 5.4, 4.0, 2),
    "browDownRight": (0.7, 5.4, 4.0, 2),
    "eyeBlinkLeft": (1.0, 1.7, 1.1, 40),
    "eyeBlinkRight": (1.0, 1.7, 1.1, 40),
}


def iris_shift(seconds: np.ndarray | float) -> np.ndarray:
    """[..., 2] shift of the irises at times [...], canonical millimetres to the subject's left and up."""
    return GAZE * np.sin(2 * np.pi * GAZE_RATE * np.asarray(seconds)[..., None])


def true_gaze(face_model: FaceModel, count: int) -> np.ndarray:
    """[T, 2] gazes of a clip's frames, see `model.gaze`."""
    shift = iris_shift(np.arange(count) / FRAME_RATE) / CanonicalFace(face_model).placement.scale
    return np.arcsin(shift / RADIUS)


class Clip(SyntheticFaces):
    """Frames of one person under one light, with the same hair and background.

    Args:
      face_model: the model.
      seed: of the person and everything around.
    """

    def __init__(self, face_model: FaceModel, seed: int):
        settings = PhotoSettings(photos_per_identity=2**31, occluders=False, imaging=False)
        super().__init__(face_model, SQUARE, seed, settings)
        self._shapes = BlendShapes.of(face_model)
        self._still = super().moment(0)

    def moment(self, index: int) -> Moment:
        seconds = index / FRAME_RATE
        wave = np.sin(2 * np.pi * seconds * np.array([0.45, 0.3, 0.25]) + np.array([0.0, 0.5, 2.0]))
        return dataclasses.replace(
            self._still,
            expression=self._expression(seconds),
            angles=wave * np.array([0.12, 0.4, 0.1]),
            jitter=np.zeros([5, 2]),
            gaze=iris_shift(seconds),
        )

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A frame uint8 [480, 640, 3], its coefficients [K], and its 68 landmarks [68, 2] in pixels."""
        face, seconds = self.sample(index), index / FRAME_RATE
        spare = np.array([WIDTH - SQUARE, HEIGHT - SQUARE])
        wave = np.sin(2 * np.pi * seconds * np.array([0.35, 0.5]))
        left, top = np.rint(spare * (0.5 + np.array([0.25, 0.15]) * wave)).astype(int).tolist()
        right, bottom = (spare - (left, top)).tolist()
        frame = cv2.copyMakeBorder(face.image, top, bottom, left, right, cv2.BORDER_REPLICATE).astype(np.float64)
        frame += np.random.default_rng([self.seed, index]).normal(0, 255 * NOISE, frame.shape)
        pixels = np.rint(np.clip(frame, 0, 255)).astype(np.uint8)
        return pixels, face.coefficients, face.landmarks + (left, top)

    def _expression(self, seconds: float) -> np.ndarray:
        """[Ke] coefficients at a time: pulses of the blend shapes `PULSES`."""
        expression = np.zeros(len(self.model.expression_basis))
        for shape in self._shapes.shapes:
            if shape.name in PULSES:
                height, period, first, sharpness = PULSES[shape.name]
                weight = height * np.cos(np.pi * (seconds - first) / period) ** (2 * (sharpness // 2))
                moved = list(shape.moved)
                expression[moved] = np.maximum(expression[moved], weight / self._shapes.strength)
        return expression

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        return super()._generator(stream, 0)
