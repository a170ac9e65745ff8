"""Identity of a person who has just come before the camera, from the 468 points of a few frames."""

import dataclasses

import numpy as np

from lib.face_image.alignment import five_points
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from model.fitting.landmark_fit import LandmarkFitter
from model.fitting.person import robust_mean
from model.tracking.tracker import first_pose

# Number of frames; their expressions differ, the identity is the same.
FRAMES = 8


class Newcomer:
    """Collects frames until the person's identity is known.

    Landmarks determine the proportions that tracking needs, not the likeness, for which the reconstruction of a photo
    takes seconds.

    Args:
      face_model: the model.
      camera: camera of the crops.
      fit: fits pose, identity and expression to one frame's points.
    """

    def __init__(self, face_model: FaceModel, camera: Camera, fit: LandmarkFitter):
        self._layout, self._camera, self._fit = face_model.layout, camera, fit
        self._template = five_points(face_model.mean_shape[face_model.landmarks])
        self._identities: list[np.ndarray] = []

    @property
    def missing(self) -> int:
        """Number of frames that are still needed."""
        return FRAMES - len(self._identities)

    def add(self, points: np.ndarray) -> None:
        """Takes a frame's points [468, 2], pixels."""
        crop, pose = first_pose(points, self._template, self._template, self._camera)
        parts = self._layout.split(np.zeros(self._layout.size))
        start = self._layout.join(dataclasses.replace(parts, angles=pose.angles, translation=pose.translation))
        fitted = self._fit(start, points @ crop[:, :2].T + crop[:, 2])
        self._identities.append(self._layout.split(fitted).identity)

    def identity(self) -> np.ndarray:
        """[Ki] coefficients: the robust mean over the frames."""
        return robust_mean(np.stack(self._identities))
