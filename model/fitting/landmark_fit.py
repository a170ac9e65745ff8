"""Fits pose, identity and expression to the 468 points by Levenberg-Marquardt, as the start of the fit to a photo.

It converges from the mean face in a few iterations. Landmarks alone do not capture a person's likeness, so a fit to
colours follows (`model.fitting.fitter`).
"""

import dataclasses

import numpy as np
import tensorflow as tf

from lib.face_mesh.groups import OVAL, POINTS
from lib.face_mesh.surface_points import SurfacePoints, silhouette_weight
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix
from model.fitting.energy import LANDMARK_REACH, PUSHING_SIGMA, REFERENCE_SIZE
from model.fitting.weights import PAIRS, FitWeights, fitting_prior, with_landmarks

ITERATIONS = 15
# The fit has converged when no unknown changes by more than this (prior standard deviations; radians; decimetres).
CONVERGED = 2e-3
ANGLE_STEP = 1e-5


@dataclasses.dataclass
class _Surface:
    """Points of one face for given unknowns.

    Attributes:
      shape: [M, 3] before the pose; turned: [M, 3] after it; pixels: [M, 2]; weight: [M].
      rotation: [3, 3] for row vectors.
    """

    shape: np.ndarray
    rotation: np.ndarray
    turned: np.ndarray
    pixels: np.ndarray
    weight: np.ndarray


class LandmarkFitter:
    """Fits single faces.

    Args:
      face_model: the model.
      camera: camera of the crops.
      points: the 468 points on the model's surface.
      weights: expected errors.
    """

    def __init__(self, face_model: FaceModel, camera: Camera, points: SurfacePoints, weights: FitWeights):
        self._layout, self._camera = face_model.layout, camera
        basis = np.concatenate([face_model.identity_basis, face_model.expression_basis]).astype(np.float64)
        self._corner_mean = face_model.mean_shape[points.vertices].astype(np.float64)  # [M, 3, 3]
        self._corner_basis = basis[:, points.vertices]  # [K, M, 3, 3]
        share = points.barycentrics.astype(np.float64)
        self._mean = np.einsum("mk,mkc->mc", share, self._corner_mean)
        self._basis = np.einsum("mk,nmkc->nmc", share, self._corner_basis)
        to_reference = REFERENCE_SIZE / camera.image_size[0]
        # The energy is half the sum of squared residuals, so these are square roots of twice the energy per pixel^2.
        scale = np.sqrt(weights.mesh_observations / POINTS) * to_reference
        self._point_scale = scale / weights.mesh_sigmas
        self._pair_scale = scale * np.sqrt(weights.pair_weights) / weights.feature_sigma
        self._reach = LANDMARK_REACH * weights.mesh_sigmas / to_reference
        expressions, identities = with_landmarks(fitting_prior(face_model)), len(face_model.identity_basis)
        self._prior = np.concatenate([np.ones(identities), 1 / expressions.sigma])
        self._pushed = np.concatenate([np.zeros(identities), expressions.one_sided / PUSHING_SIGMA])

    def __call__(self, coefficients: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Fits pose, identity and expression to points [468, 2]; returns coefficients [K], the rest unchanged.

        Args:
          coefficients: [K]; the fit starts from their pose and the mean shape.
          found: [468, 2] detected points, pixels of the crop.
        """
        parts = self._layout.split(np.asarray(coefficients, np.float64))
        unknowns = np.concatenate([np.zeros(len(self._prior)), parts.angles, parts.translation])
        damping = 1e-2
        for _ in range(ITERATIONS):
            surface = self._surface(unknowns)
            distance = np.linalg.norm(surface.pixels - found, axis=1)
            # Pseudo-Huber loss by re-weighting: distant points count with their distance instead of its square.
            scale = self._point_scale * np.sqrt(surface.weight / np.sqrt(1 + (distance / self._reach) ** 2))
            residuals = self._residuals(unknowns, surface.pixels, found, scale)
            jacobian = self._jacobian(unknowns, surface, scale)
            normal, slope = jacobian.T @ jacobian, jacobian.T @ residuals
            accepted = False
            while not accepted and damping < 1e6:
                step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope)
                moved = self._residuals(unknowns + step, self._surface(unknowns + step).pixels, found, scale)
                accepted = bool(moved @ moved < residuals @ residuals)
                damping = max(damping / 5, 1e-7) if accepted else damping * 8
            if not accepted:
                break
            unknowns = unknowns + step
            if np.abs(step).max() < CONVERGED:
                break
        shape, angles, translation = np.split(unknowns, [len(self._prior), len(self._prior) + 3])
        identity, expression = np.split(shape, [self._layout.identity])
        moved_parts = dataclasses.replace(
            parts, identity=identity, expression=expression, angles=angles, translation=translation
        )
        return self._layout.join(moved_parts).astype(np.float32)

    def _surface(self, unknowns: np.ndarray) -> _Surface:
        count, camera = len(self._prior), self._camera
        rotation = _rotations(unknowns[None, count : count + 3])[0]
        shape = self._mean + np.tensordot(unknowns[:count], self._basis, 1)
        turned = shape @ rotation + unknowns[count + 3 :]
        corners = self._corner_mean[list(OVAL)] + np.tensordot(unknowns[:count], self._corner_basis[:, list(OVAL)], 1)
        weight = np.ones(POINTS)
        position = np.array([0, 0, camera.distance])
        weight[list(OVAL)] = silhouette_weight(corners @ rotation + unknowns[count + 3 :], position)
        depth = camera.distance - turned[:, 2]
        height, width = camera.image_size
        scale = camera.focal_length / depth
        pixels = np.stack([width / 2 + scale * turned[:, 0], height / 2 - scale * turned[:, 1]], axis=-1)
        return _Surface(shape, rotation, turned, pixels, weight)

    def _residuals(self, unknowns, pixels, found, scale) -> np.ndarray:
        shape = unknowns[: len(self._prior)]
        upper, lower = PAIRS.T
        offset = pixels - found
        return np.concatenate(
            [
                (offset * scale[:, None]).ravel(),
                ((offset[upper] - offset[lower]) * self._pair_scale[:, None]).ravel(),
                shape * self._prior,
                np.minimum(shape, 0) * self._pushed,
            ]
        )

    def _jacobian(self, unknowns, surface: _Surface, scale) -> np.ndarray:
        count, camera = len(self._prior), self._camera
        angles = unknowns[count : count + 3]
        turns = (_rotations(angles + ANGLE_STEP * np.eye(3)) - _rotations(angles - ANGLE_STEP * np.eye(3))) / (
            2 * ANGLE_STEP
        )
        moves = np.concatenate(
            [
                self._basis @ surface.rotation,
                np.einsum("mc,kcd->kmd", surface.shape, turns),
                np.broadcast_to(np.eye(3)[:, None], [3, POINTS, 3]),
            ]
        )
        depth = camera.distance - surface.turned[:, 2]
        # Quotient rule for x / depth: moving towards the camera enlarges the image.
        slopes = moves[..., :2] / depth[:, None] + surface.turned[:, :2] * (moves[..., 2:] / depth[:, None] ** 2)
        slopes = slopes * camera.focal_length * (1, -1)
        upper, lower = PAIRS.T
        points = (slopes * scale[:, None]).reshape(len(slopes), -1)
        pairs = ((slopes[:, upper] - slopes[:, lower]) * self._pair_scale[:, None]).reshape(len(slopes), -1)
        prior = np.zeros([len(slopes), 2 * count])
        prior[:count] = np.hstack([np.diag(self._prior), np.diag(self._pushed * (unknowns[:count] < 0))])
        return np.hstack([points, pairs, prior]).T


def _rotations(angles: np.ndarray) -> np.ndarray:
    """Rotation matrices [B, 3, 3] of angles [B, 3]."""
    return rotation_matrix(tf.constant(angles, tf.float64)).numpy()
