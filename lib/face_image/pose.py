"""Pose of a deformable 3-D point set from 2-D points: the perspective fit that places the face model on a crop."""

import dataclasses

import numpy as np

from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_arrays

# Standard deviations: error of a detected point (fraction of the image side); angles (pitch, yaw, roll; radians) and
# translation (decimetres) of an aligned face.
POINT_SIGMA = 0.01
ANGLE_SIGMA = (0.3, 0.6, 0.4)
TRANSLATION_SIGMA = (1.0, 1.0, 1.0)
ITERATIONS = 12


@dataclasses.dataclass(frozen=True)
class Pose:
    """Pose of a face before the camera, and its deformation as far as the points determine it.

    Attributes:
      angles: [3] pitch, yaw, roll in radians, for `lib.geometry.rotation`.
      translation: [3] decimetres.
      coefficients: [K] of the deformations.
      points: [M, 2] projection of the fitted points, pixels.
      residual: mean distance between `points` and the input points, pixels.
    """

    angles: np.ndarray
    translation: np.ndarray
    coefficients: np.ndarray
    points: np.ndarray
    residual: float


def solve_pose(points: np.ndarray, positions: np.ndarray, camera: Camera, basis: np.ndarray | None = None) -> Pose:
    """Finds the angles, translation and deformation that project a point set onto `points`.

    Levenberg-Marquardt, starting from the front view, with Gaussian priors. Without a basis, a smile, which lifts and
    widens the mouth, would be mistaken for a nod. Pass the identity and expression bases at the points to avoid that.

    Args:
      points: [M, 2] pixels (x right, y down, pixel edges), M >= 4.
      positions: [M, 3] the points on the mean face, decimetres.
      camera: its image size must match the image in which `points` are given.
      basis: [K, M, 3] deformations whose coefficients have unit variance.

    Raises:
      ValueError: for wrong shapes or values that are not finite.
    """
    points, positions = np.asarray(points, np.float64), np.asarray(positions, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or positions.shape != (len(points), 3) or len(points) < 4:
        got = f"{list(points.shape)}, {list(positions.shape)}"
        raise ValueError(f"points must be [M, 2], positions [M, 3], M at least 4, got {got}")
    basis = np.zeros((0, *positions.shape)) if basis is None else np.asarray(basis, np.float64)
    if basis.ndim != 3 or basis.shape[1:] != positions.shape:
        raise ValueError(f"basis must be [K, {len(points)}, 3], got {list(basis.shape)}")
    if not all(np.isfinite(array).all() for array in (points, positions, basis)):
        raise ValueError("points, positions and basis must be finite, got NaN or infinity")
    # Only displacements of the points matter: their principal directions span the same space with fewer unknowns.
    directions, singular, _ = np.linalg.svd(basis.reshape(len(basis), positions.size), full_matrices=False)
    used = singular > 1e-6 * singular.max(initial=0.0)
    directions = directions[:, used]
    reduced = np.einsum("kr,kmc->rmc", directions, basis)
    sigmas = np.concatenate([ANGLE_SIGMA, TRANSLATION_SIGMA, np.ones(len(reduced))])

    def project(unknowns: np.ndarray) -> np.ndarray:
        shape = positions + np.einsum("br,rmc->bmc", unknowns[:, 6:], reduced)
        turned = shape @ rotation_arrays(unknowns[:, :3]) + unknowns[:, None, 3:6]
        return camera.project(turned).numpy()

    def residuals(unknowns: np.ndarray) -> np.ndarray:
        offsets = (project(unknowns) - points) / (POINT_SIGMA * camera.image_size[0])
        return np.concatenate([offsets.reshape(len(unknowns), -1), unknowns / sigmas], axis=1)

    unknowns = np.concatenate([_front_view(points, positions, camera), np.zeros(len(reduced))])
    solution = _least_squares(residuals, unknowns)
    projected = project(solution[None])[0]
    return Pose(
        angles=solution[:3],
        translation=solution[3:6],
        coefficients=directions @ solution[6:],
        points=projected,
        residual=float(np.linalg.norm(projected - points, axis=1).mean()),
    )


def _least_squares(residuals, start: np.ndarray) -> np.ndarray:
    """Levenberg-Marquardt; `residuals` takes a batch of unknowns, so that one call computes all central differences."""
    solution, damping, step = start, 1e-3, 1e-5 * np.eye(len(start))
    current = residuals(solution[None])[0]
    for _ in range(ITERATIONS):
        forward, backward = np.split(residuals(np.concatenate([solution + step, solution - step])), 2)
        jacobian = ((forward - backward) / (2 * step[0, 0])).T
        normal = jacobian.T @ jacobian
        update = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -jacobian.T @ current)
        proposed = residuals((solution + update)[None])[0]
        if proposed @ proposed < current @ current:
            solution, current, damping = solution + update, proposed, damping / 5
        else:
            damping *= 10
    return solution


def _front_view(points: np.ndarray, positions: np.ndarray, camera: Camera) -> np.ndarray:
    """Initial pose [6]: zero pitch and yaw; roll, depth and shift from the best similarity to the frontal points."""
    centre, model_centre = points.mean(0), positions.mean(0)
    offsets = (points - centre) * (1, -1) @ (1, 1j)
    model = (positions - model_centre)[:, :2] @ (1, 1j)
    similarity = (np.conj(model) @ offsets) / max((np.abs(model) ** 2).sum(), 1e-12)
    depth = np.clip(camera.focal_length / max(abs(similarity), 1e-6), 0.2 * camera.distance, 5 * camera.distance)
    roll = float(np.angle(similarity))
    height, width = camera.image_size
    # The model's centre after the roll; the translation moves it to the points' centre at that depth.
    rolled = model_centre @ rotation_arrays(np.array([[0.0, 0.0, roll]]))[0]
    shift = (centre - (width / 2, height / 2)) * (1, -1) * depth / camera.focal_length
    return np.array([0.0, 0.0, roll, shift[0] - rolled[0], shift[1] - rolled[1], camera.distance - depth - rolled[2]])
