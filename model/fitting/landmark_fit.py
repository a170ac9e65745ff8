"""Fits pose, identity and expression to the 468 points by Levenberg-Marquardt, as the start of the fit to a photo.

It converges from the mean face in a few iterations. Landmarks alone do not capture a person's likeness, so a fit to
colours follows (`model.fitting.fitter`).
"""

import dataclasses

import numpy as np

from lib.face_mesh.groups import OVAL, POINTS
from lib.face_mesh.surface_points import SurfacePoints, silhouette_weight
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.geometry.rotation import rotation_arrays
from model.fitting.energy import LANDMARK_REACH, PUSHING_SIGMA
from model.fitting.weights import PAIRS, FitWeights, RegressedErrors, fitting_prior, with_landmarks

ITERATIONS = 15
# The fit has converged when no unknown changes by more than this (prior standard deviations; radians; decimetres).
CONVERGED = 2e-3
ANGLE_STEP = 1e-5
REFINING_STEPS = 6
# Factor on the expected errors of a regressed identity. Errors of the points are common to many of them, and without
# the colours they would pass for a person's shape.
STIFFNESS = 0.25


@dataclasses.dataclass(frozen=True)
class PointShape:
    """The M = 468 points of a deformable face, before its pose.

    Attributes:
      mean: [M, 3] decimetres.
      basis: [K, M, 3].
      oval_mean, oval_basis: [O, 3, 3] and [K, O, 3, 3], the corners of the triangles with the points `OVAL`.
    """

    mean: np.ndarray
    basis: np.ndarray
    oval_mean: np.ndarray
    oval_basis: np.ndarray

    @classmethod
    def of(cls, face_model: FaceModel, points: SurfacePoints) -> "PointShape":
        """Points on a face model, with the coefficients of identity, then expression."""
        basis = np.concatenate([face_model.identity_basis, face_model.expression_basis]).astype(np.float64)
        corner_mean = face_model.mean_shape[points.vertices].astype(np.float64)  # [M, 3, 3]
        corner_basis = basis[:, points.vertices]  # [K, M, 3, 3]
        share, oval = points.barycentrics.astype(np.float64), list(OVAL)
        return cls(
            mean=np.einsum("mk,mkc->mc", share, corner_mean),
            basis=np.einsum("mk,nmkc->nmc", share, corner_basis),
            oval_mean=corner_mean[oval],
            oval_basis=corner_basis[:, oval],
        )

    def with_identity(self, identity: np.ndarray) -> "PointShape":
        """The same points with the first coefficients, `identity` [Ki], fixed."""
        count, identity = len(identity), np.asarray(identity, np.float64)
        return PointShape(
            mean=self.mean + np.tensordot(identity, self.basis[:count], 1),
            basis=np.ascontiguousarray(self.basis[count:]),
            oval_mean=self.oval_mean + np.tensordot(identity, self.oval_basis[:count], 1),
            oval_basis=np.ascontiguousarray(self.oval_basis[count:]),
        )


@dataclasses.dataclass(frozen=True)
class PosedPoints:
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


class LandmarkResiduals:
    """Weighted differences between the projections of 468 surface points and detected points.

    The unknowns are [K + 6]: coefficients of the shape, angles, translation. The energy is half the sum of the squared
    residuals.

    Args:
      shape: the points.
      camera: camera of the crops.
      weights: expected errors.
      point_sigmas: [M] expected errors of the points, pixels of 224; None to use `weights.mesh_sigmas`.
    """

    def __init__(self, shape: PointShape, camera: Camera, weights: FitWeights, point_sigmas: np.ndarray | None = None):
        self.shape, self.count, self._camera = shape, len(shape.basis), camera
        to_reference = REFERENCE_SIZE / camera.image_size[0]
        # Square roots of twice the energy per pixel^2.
        scale = np.sqrt(weights.mesh_observations / POINTS) * to_reference
        sigmas = weights.mesh_sigmas if point_sigmas is None else point_sigmas
        self._point_scale = scale / sigmas
        self._pair_scale = scale * np.sqrt(weights.pair_weights) / weights.feature_sigma
        self._reach = LANDMARK_REACH * sigmas / to_reference

    def posed(self, unknowns: np.ndarray) -> PosedPoints:
        """The points of a face with these unknowns."""
        count, camera, shape = self.count, self._camera, self.shape
        rotation, translation = rotation_arrays(unknowns[None, count : count + 3])[0], unknowns[count + 3 :]
        points = shape.mean + np.tensordot(unknowns[:count], shape.basis, 1)
        turned = points @ rotation + translation
        corners = shape.oval_mean + np.tensordot(unknowns[:count], shape.oval_basis, 1)
        weight = np.ones(POINTS)
        position = np.array([0, 0, camera.distance])
        weight[list(OVAL)] = silhouette_weight(corners @ rotation + translation, position)
        depth = camera.distance - turned[:, 2]
        height, width = camera.image_size
        scale = camera.focal_length / depth
        pixels = np.stack([width / 2 + scale * turned[:, 0], height / 2 - scale * turned[:, 1]], axis=-1)
        return PosedPoints(points, rotation, turned, pixels, weight)

    def scale(self, posed: PosedPoints, found: np.ndarray) -> np.ndarray:
        """[M] factors of the pixels' differences from the points found [M, 2].

        Pseudo-Huber loss by re-weighting: distant points count with their distance instead of its square.
        """
        distance = np.linalg.norm(posed.pixels - found, axis=1)
        return self._point_scale * np.sqrt(posed.weight / np.sqrt(1 + (distance / self._reach) ** 2))

    def residuals(self, pixels: np.ndarray, found: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """[R] residuals of projections [M, 2]: of every point, and of the distances `PAIRS`."""
        upper, lower = PAIRS.T
        offset = pixels - found
        pairs = (offset[upper] - offset[lower]) * self._pair_scale[:, None]
        return np.concatenate([(offset * scale[:, None]).ravel(), pairs.ravel()])

    def slopes(self, posed: PosedPoints, angles: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """[K + 6, R] derivatives of the residuals, the Jacobian transposed."""
        camera, basis = self._camera, self.shape.basis
        turns = (
            rotation_arrays(angles + ANGLE_STEP * np.eye(3)) - rotation_arrays(angles - ANGLE_STEP * np.eye(3))
        ) / (2 * ANGLE_STEP)
        moves = np.concatenate(
            [
                (basis.reshape(-1, 3) @ posed.rotation).reshape(basis.shape),
                posed.shape @ turns,
                np.broadcast_to(np.eye(3)[:, None], [3, POINTS, 3]),
            ]
        )
        depth = camera.distance - posed.turned[:, 2]
        # Quotient rule for x / depth: moving towards the camera enlarges the image.
        slopes = moves[..., :2] / depth[:, None] + posed.turned[:, :2] * (moves[..., 2:] / depth[:, None] ** 2)
        slopes = slopes * camera.focal_length * (1, -1)
        upper, lower = PAIRS.T
        points = (slopes * scale[:, None]).reshape(len(slopes), -1)
        pairs = ((slopes[:, upper] - slopes[:, lower]) * self._pair_scale[:, None]).reshape(len(slopes), -1)
        return np.hstack([points, pairs])


class LandmarkFitter:
    """Fits single faces.

    Args:
      face_model: the model.
      camera: camera of the crops.
      points: the 468 points on the model's surface.
      weights: expected errors.
      regressed_errors: expected errors of the regressor, see `Fitter`; None to expect the mean face.
    """

    def __init__(
        self,
        face_model: FaceModel,
        camera: Camera,
        points: SurfacePoints,
        weights: FitWeights,
        regressed_errors: RegressedErrors | None = None,
    ):
        self._layout, self._camera, self._weights = face_model.layout, camera, weights
        self._landmarks = LandmarkResiduals(PointShape.of(face_model, points), camera, weights)
        expressions, identities = with_landmarks(fitting_prior(face_model)), len(face_model.identity_basis)
        self._starts_regressed = regressed_errors is not None
        known = np.ones(identities)
        if regressed_errors is not None:
            known = STIFFNESS * regressed_errors.identity.astype(np.float64)
        self._prior = np.concatenate([1 / known, 1 / expressions.sigma])
        self._pushed = np.concatenate([np.zeros(identities), expressions.one_sided / PUSHING_SIGMA])

    def __call__(self, coefficients: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Fits pose, identity and expression to points [468, 2]; returns coefficients [K], the rest unchanged.

        Args:
          coefficients: [K] regressed. The fit starts from their pose, a neutral expression, and their identity if its
            expected errors are known, otherwise the mean face.
          found: [468, 2] detected points, pixels of the crop.
        """
        parts = self._layout.split(np.asarray(coefficients, np.float64))
        expected = np.zeros(len(self._prior))
        if self._starts_regressed:
            expected[: self._layout.identity] = parts.identity
        unknowns = np.concatenate([expected, parts.angles, parts.translation])
        damping = 1e-2
        for _ in range(ITERATIONS):
            posed = self._landmarks.posed(unknowns)
            scale = self._landmarks.scale(posed, found)
            residuals = self._residuals(unknowns, expected, posed.pixels, found, scale)
            jacobian = self._jacobian(unknowns, posed, scale)
            normal, slope = jacobian.T @ jacobian, jacobian.T @ residuals
            accepted = False
            while not accepted and damping < 1e6:
                step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope)
                pixels = self._landmarks.posed(unknowns + step).pixels
                moved = self._residuals(unknowns + step, expected, pixels, found, scale)
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

    def refine_expression(self, coefficients: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Moves the expression of a face [K], already fitted to a photo, to points [468, 2] on its lips.

        Identity and pose stay, so that sharper expected errors (`FitWeights.lip_sigma`) cannot distort a person's
        shape; the prior expects the fitted expression.
        """
        parts = self._layout.split(np.asarray(coefficients, np.float64))
        shape = self._landmarks.shape.with_identity(parts.identity)
        landmarks = LandmarkResiduals(shape, self._camera, self._weights, self._weights.refining_sigmas)
        prior, pushed = self._prior[self._layout.identity :], self._pushed[self._layout.identity :]
        expression, pose = np.array(parts.expression), np.concatenate([parts.angles, parts.translation])
        for _ in range(REFINING_STEPS):
            unknowns = np.concatenate([expression, pose])
            posed = landmarks.posed(unknowns)
            scale = landmarks.scale(posed, found)
            residuals = landmarks.residuals(posed.pixels, found, scale)
            slopes = landmarks.slopes(posed, parts.angles, scale)[: len(expression)]
            pushing = pushed**2 * (expression < 0)
            normal = slopes @ slopes.T + np.diag(prior**2 + pushing)
            gradient = slopes @ residuals + prior**2 * (expression - parts.expression) + pushing * expression
            step = -np.linalg.solve(normal, gradient)
            expression += step
            if np.abs(step).max(initial=0) < CONVERGED:  # a face model may have no expressions
                break
        return self._layout.join(dataclasses.replace(parts, expression=expression)).astype(np.float32)

    def _residuals(
        self, unknowns: np.ndarray, expected: np.ndarray, pixels: np.ndarray, found: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        shape = unknowns[: len(self._prior)]
        seen = self._landmarks.residuals(pixels, found, scale)
        return np.concatenate([seen, (shape - expected) * self._prior, np.minimum(shape, 0) * self._pushed])

    def _jacobian(self, unknowns: np.ndarray, posed: PosedPoints, scale: np.ndarray) -> np.ndarray:
        count = len(self._prior)
        slopes = self._landmarks.slopes(posed, unknowns[count : count + 3], scale)
        prior = np.zeros([len(slopes), 2 * count])
        prior[:count] = np.hstack([np.diag(self._prior), np.diag(self._pushed * (unknowns[:count] < 0))])
        return np.hstack([slopes, prior]).T
