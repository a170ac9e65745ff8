"""Pose of a known 3-D point set from its pixels: the perspective fit that places the mean face on a crop."""

import dataclasses

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix

# Expected error of a point (fraction of the image) and plausible range of angles (pitch, yaw, roll; radians). Faces differ
# from the mean face, mostly along the nose, and without a prior that difference would be read as pitch.
POINT_SIGMA = 0.02
ANGLE_SIGMA = (0.35, 0.7, 0.7)
ITERATIONS = 15


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a face stands before the camera.

    Attributes:
      angles: [3] pitch, yaw, roll in radians, for `lib.geometry.rotation`.
      translation: [3] decimetres.
      points: [M, 2] projection of the points in pixels.
      residual: mean distance between `points` and the given ones, pixels.
    """

    angles: np.ndarray
    translation: np.ndarray
    points: np.ndarray
    residual: float


def solve_pose(points: np.ndarray, positions: np.ndarray, camera: Camera) -> Pose:
    """Angles and translation that project `positions` onto `points`.

    Levenberg-Marquardt on the six unknowns with a Gaussian prior on the angles, from the front view. The face should stand
    about where alignment puts it.

    Args:
      points: [M, 2] pixels (x right, y down, pixel edges), M >= 4.
      positions: [M, 3] the same points of the face model, decimetres.
      camera: its image size is the one `points` are measured in.

    Raises:
      ValueError: for wrong shapes or values that are not finite.
    """
    points, positions = np.asarray(points, np.float64), np.asarray(positions, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or positions.shape != (len(points), 3) or len(points) < 4:
        raise ValueError(f"points must be [M, 2], positions [M, 3], got {list(points.shape)}, {list(positions.shape)}")
    if not (np.isfinite(points).all() and np.isfinite(positions).all()):
        raise ValueError("points and positions must be finite, got NaN or infinity")
    sigma = POINT_SIGMA * camera.image_size[0]

    def project(poses: np.ndarray) -> np.ndarray:
        rotated = positions @ rotation_matrix(tf.constant(poses[:, :3])).numpy()
        return camera.project(tf.constant(rotated + poses[:, None, 3:])).numpy()

    def residuals(poses: np.ndarray) -> np.ndarray:
        offsets = ((project(poses) - points) / sigma).reshape(len(poses), -1)
        return np.concatenate([offsets, poses[:, :3] / ANGLE_SIGMA], axis=1)

    pose, damping, step = _front_view(points, positions, camera), 1e-3, 1e-5
    current = residuals(pose[None])[0]
    for _ in range(ITERATIONS):
        # Central differences of all six unknowns in one batch.
        shifted = residuals(np.concatenate([pose + step * np.eye(6), pose - step * np.eye(6)]))
        jacobian = ((shifted[:6] - shifted[6:]) / (2 * step)).T
        normal = jacobian.T @ jacobian
        update = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -jacobian.T @ current)
        proposed = residuals((pose + update)[None])[0]
        if proposed @ proposed < current @ current:
            pose, current, damping = pose + update, proposed, damping / 5
        else:
            damping *= 10
    projected = project(pose[None])[0]
    return Pose(pose[:3], pose[3:], projected, float(np.linalg.norm(projected - points, axis=1).mean()))


def _front_view(points: np.ndarray, positions: np.ndarray, camera: Camera) -> np.ndarray:
    """Start: no pitch or yaw; roll, depth and shift from the best similarity between the points seen from the front."""
    centre, model_centre = points.mean(0), positions.mean(0)
    offsets = (points - centre) * (1, -1) @ (1, 1j)
    model = (positions - model_centre)[:, :2] @ (1, 1j)
    similarity = (np.conj(model) @ offsets) / max((np.abs(model) ** 2).sum(), 1e-12)
    depth = np.clip(camera.focal_length / max(abs(similarity), 1e-6), 0.2 * camera.distance, 5 * camera.distance)
    roll = float(np.angle(similarity))
    height, width = camera.image_size
    # Where the model's centre goes once rolled: the translation brings it to the points' centre at that depth.
    rolled = model_centre @ rotation_matrix(tf.constant([[0.0, 0.0, roll]], tf.float64)).numpy()[0]
    shift = (centre - (width / 2, height / 2)) * (1, -1) * depth / camera.focal_length
    return np.array([0.0, 0.0, roll, shift[0] - rolled[0], shift[1] - rolled[1], camera.distance - depth - rolled[2]])
