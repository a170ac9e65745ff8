"""Placement of a regressed face: changes pose and shape as little as possible to meet the five detected points."""

import dataclasses

import numpy as np

from lib.face_image.alignment import five_points
from lib.face_image.pose import solve_pose
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera

# The regressed shape may be changed by this much (fraction of the deformations' prior) to meet the detected points.
CORRECTION = 0.5


class PointPlacement:
    """Moves faces onto detected points.

    Args:
      face_model: the model of the coefficients.
      camera: camera of the crops.
    """

    def __init__(self, face_model: FaceModel, camera: Camera):
        self.camera, self.layout = camera, face_model.layout
        self._mean = five_points(face_model.mean_shape[face_model.landmarks])
        bases = (face_model.identity_basis, face_model.expression_basis)
        self._deformations = np.concatenate([five_points(basis[:, face_model.landmarks]) for basis in bases])

    def __call__(self, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Coefficients [1, K], float32, of the face moved to the five points [5, 2] of its crop."""
        regressed = self.layout.split(np.asarray(coefficients, np.float32))
        shape = np.concatenate([regressed.identity, regressed.expression], axis=-1)[0]
        positions = self._mean + np.einsum("k,kmc->mc", shape, self._deformations)
        pose = solve_pose(points, positions, self.camera, CORRECTION * self._deformations)
        identity, expression = np.split(shape + CORRECTION * pose.coefficients, [self.layout.identity])
        placed = dataclasses.replace(
            regressed,
            identity=identity[None],
            expression=expression[None],
            angles=pose.angles[None],
            translation=pose.translation[None],
        )
        return self.layout.join(placed).astype(np.float32)
