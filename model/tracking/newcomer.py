"""Identity of a person before the camera as the landmarks see it, from the 468 points of a few frames."""

import dataclasses

import numpy as np

from lib.face_image.alignment import five_points
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from model.fitting.landmark_fit import STIFFNESS, LandmarkFitter
from model.fitting.person import robust_mean
from model.fitting.weights import FitWeights, RegressedErrors
from model.tracking.tracker import first_pose

# Number of frames; their expressions differ, the identity is the same.
FRAMES = 8
# Standard deviations of the prior by which landmarks place a face's parts elsewhere than a reconstruction does.
APART = 0.6


class Newcomer:
    """Collects frames until the person's identity is known.

    Landmarks determine the proportions that tracking needs, not the likeness, for which the reconstruction of a photo
    takes seconds. Even where a reconstruction is known, tracking follows brows and lips only from the places where the
    landmarks have them at rest.

    Args:
      face_model: the model.
      camera: camera of the crops.
      points: the 468 points on the model's surface.
      weights: expected errors.
      reconstructed: [Ki] identity of the person's reconstruction; None for somebody unknown.
    """

    def __init__(
        self,
        face_model: FaceModel,
        camera: Camera,
        points: SurfacePoints,
        weights: FitWeights,
        reconstructed: np.ndarray | None = None,
    ):
        self._layout, self._camera = face_model.layout, camera
        self._template = five_points(face_model.mean_shape[face_model.landmarks])
        self._expected, errors = np.zeros(self._layout.identity), None
        if reconstructed is not None:
            apart = np.full(self._layout.identity, APART / STIFFNESS)
            self._expected, errors = reconstructed, RegressedErrors(apart, np.ones(self._layout.albedo))
        self._fit = LandmarkFitter(face_model, camera, points, weights, errors)
        self._identities: list[np.ndarray] = []

    @property
    def missing(self) -> int:
        """Number of frames that are still needed."""
        return FRAMES - len(self._identities)

    def add(self, points: np.ndarray) -> None:
        """Takes a frame's points [468, 2], pixels."""
        crop, pose = first_pose(points, self._template, self._template, self._camera)
        parts = dataclasses.replace(
            self._layout.split(np.zeros(self._layout.size)),
            identity=self._expected,
            angles=pose.angles,
            translation=pose.translation,
        )
        fitted = self._fit(self._layout.join(parts), points @ crop[:, :2].T + crop[:, 2])
        self._identities.append(self._layout.split(fitted).identity)

    def identity(self) -> np.ndarray:
        """[Ki] coefficients: the robust mean over the frames, or those expected if there was none."""
        return robust_mean(np.stack(self._identities)) if self._identities else self._expected
