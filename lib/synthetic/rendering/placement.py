"""Placement of a synthetic face so that the image equals its own five-point aligned crop."""

import numpy as np

from lib.face_image.alignment import FIVE_FROM_68, TARGET_SCALE, fit_scale_shift
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.synthetic.rendering.compiled import project


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """[5, C] detector's points from the 68 landmarks [68, C]."""
    return FIVE_FROM_68 @ landmarks


def place(five: np.ndarray, template: np.ndarray, jitter: np.ndarray, camera: Camera) -> np.ndarray:
    """Finds the translation with which the camera's image is its own aligned crop.

    The published alignment fits the mean face to five detected points, then scales and shifts the photo. Here, camera
    and crop are fixed, and the face moves instead until the fit gives the scale and shift of an aligned crop.

    Args:
      five: [5, 3] the five points of the turned face, decimetres.
      template: [5, 3] the five points of the mean face.
      jitter: [5, 2] errors of the detector, fractions of the distance between the eyes.
      camera: square.

    Returns:
      [3] decimetres.
    """
    size = camera.image_size[0]
    target = TARGET_SCALE * size / REFERENCE_SIZE
    translation = np.zeros(3)
    for _ in range(20):
        seen = detected_points(five + translation, jitter, camera)
        # size - 1 - y: one pixel off, as `lib.face_image.alignment.align` is.
        scale, shift = fit_scale_shift(np.stack([seen[:, 0], size - 1 - seen[:, 1]], axis=1), template)
        depth = camera.distance - (five[:, 2].mean() + translation[2])
        translation[2] += depth * (1 - scale / target)
        translation[:2] += (size / 2 - shift) * depth / camera.focal_length
        if abs(1 - scale / target) < 5e-4 and np.abs(size / 2 - shift).max() < 0.05:
            break
    return translation


def detected_points(five: np.ndarray, jitter: np.ndarray, camera: Camera) -> np.ndarray:
    """[5, 2] pixels of the points [5, 3] with the detector's errors."""
    points = project(camera, five)
    return points + jitter * np.linalg.norm(points[1] - points[0])
