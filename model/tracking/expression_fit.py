"""Fits pose and expression of a known person to the 468 points: few Gauss-Newton steps from the last frame's."""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from model.fitting.landmark_fit import CONVERGED, LandmarkResiduals, PointShape
from model.fitting.weights import FitWeights
from model.tracking.expected import Expected

# Share of the normal matrix's diagonal added to it: a frame's points are near the last frame's, so little is enough.
DAMPING = 1e-3


class ExpressionFitter:
    """Fits frames of one person.

    The unknowns are expression coefficients, angles and translation: [Ke + 6]. One-sided expressions stay at least 0:
    every step solves its quadratic problem within these bounds. If a step were only cut at the bounds, the coefficients
    would jitter, as the others then answer for what was cut.

    Args:
      face_model: the model.
      identity: [Ki] the person's coefficients.
      camera: camera of the crops.
      points: the 468 points on the model's surface.
      weights: expected errors.
    """

    def __init__(
        self, face_model: FaceModel, identity: np.ndarray, camera: Camera, points: SurfacePoints, weights: FitWeights
    ):
        shape = PointShape.of(face_model, points).with_identity(identity)
        expected = Expected.of(face_model, points, weights.mesh_sigmas)
        self._landmarks = LandmarkResiduals(shape, camera, weights, expected.point_sigmas)
        prior, pose = expected.prior, np.zeros(6)
        self.count = len(prior.sigma)
        self._rest = np.concatenate([expected.rest, pose])
        self._precision = np.concatenate([1 / np.square(prior.sigma.astype(np.float64)), pose])
        self._bounded = np.concatenate([np.asarray(prior.one_sided) > 0, pose > 0])

    def __call__(self, unknowns: np.ndarray, found: np.ndarray, steps: int) -> np.ndarray:
        """Moves unknowns [Ke + 6] towards points [468, 2], pixels of the crop, by up to `steps` steps."""
        count = self.count
        for _ in range(steps):
            posed = self._landmarks.posed(unknowns)
            scale = self._landmarks.scale(posed, found)
            slopes = self._landmarks.slopes(posed, unknowns[count : count + 3], scale)
            gradient = slopes @ self._landmarks.residuals(posed.pixels, found, scale)
            gradient += self._precision * unknowns + self._rest
            normal = slopes @ slopes.T
            diagonal = np.einsum("kk->k", normal)
            diagonal += self._precision
            diagonal *= 1 + DAMPING
            moved = self._least(normal, normal @ unknowns - gradient)
            largest = np.abs(moved - unknowns).max()
            unknowns = moved
            if largest < CONVERGED:
                break
        return unknowns

    def _least(self, normal: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The y of least y.N.y / 2 - y.right, with its bounded part not negative.

        The free part is eliminated (Schur complement); the Cholesky factor of what is left makes it a problem of
        non-negative least squares (Lawson and Hanson 1974).
        """
        bounded, free = self._bounded, ~self._bounded
        if not bounded.any():
            return np.linalg.solve(normal, right)
        mixed = normal[np.ix_(free, bounded)]
        solved = np.linalg.solve(normal[np.ix_(free, free)], np.column_stack([mixed, right[free]]))
        factor = np.linalg.cholesky(normal[np.ix_(bounded, bounded)] - mixed.T @ solved[:, :-1])
        target = solve_triangular(factor, right[bounded] - mixed.T @ solved[:, -1], lower=True)
        result = np.zeros_like(right)
        result[bounded], _ = nnls(factor.T, target)
        result[free] = solved[:, -1] - solved[:, :-1] @ result[bounded]
        return result

    def project(self, unknowns: np.ndarray) -> np.ndarray:
        """The 468 points [468, 2] of a face, pixels of the crop."""
        return self._landmarks.posed(unknowns).pixels
