"""Measures a face detector (trained on real photos) on synthetic photos: detection rate and accuracy of its points."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from lib.face_image.detection import detect_faces

SURE = 0.99  # smallest confidence of a certain detection
# Largest mean distance of the five points, in interocular distances, at which a detection counts as this face.
ELSEWHERE = 0.5
# Reported bands of yaw, degrees; synthetic photos have up to 60 degrees, with a margin for rounding.
BANDS = {"within_30": (0.0, 30.0), "30_to_60": (30.0, 60.5)}


@dataclass(frozen=True)
class Finding:
    """A detection of the wanted face.

    Attributes:
      confidence: the detector's confidence, 0 to 1.
      errors: [5] distances of its points from the true ones, per cent of the interocular distance.
    """

    confidence: float
    errors: np.ndarray


def find_face(image: np.ndarray, points: np.ndarray, refine: bool = False) -> Finding | None:
    """Runs the detector; returns the detection closest to a known face, None if the face is not detected.

    Args:
      image: uint8 [H, W, 3 or 4].
      points: [5, 2] true points, pixels.
      refine: run the detector's second pass, as for real photos.
    """
    between_eyes = np.linalg.norm(points[1] - points[0])
    findings = [
        Finding(face.confidence, 100 * np.linalg.norm(face.points - points, axis=1) / between_eyes)
        for face in detect_faces(image, refine=refine)
    ]
    near = [finding for finding in findings if finding.errors.mean() < 100 * ELSEWHERE]
    return min(near, key=lambda finding: finding.errors.mean(), default=None)


def summary(findings: Sequence[Finding | None]) -> dict | None:
    """Summarises detections; None for an empty list.

    Returns:
      faces: number of faces.
      found: share of faces detected.
      sure: share of faces detected with a confidence above 0.99.
      points_percent: mean distance of the five points over detected faces, per cent of the interocular distance (None
        if no face was detected).
    """
    if not findings:
        return None
    seen = [finding for finding in findings if finding is not None]
    return {
        "faces": len(findings),
        "found": round(len(seen) / len(findings), 4),
        "sure": round(sum(finding.confidence > SURE for finding in seen) / len(findings), 4),
        "points_percent": round(float(np.mean([finding.errors.mean() for finding in seen])), 2) if seen else None,
    }


def detector_metrics(images: Iterable[np.ndarray], points: np.ndarray, yaw: np.ndarray) -> dict:
    """Runs the detector on photos.

    Args:
      images: S of uint8 [H, W, 3 or 4].
      points: [S, 5, 2] true points, pixels.
      yaw: [S] degrees.

    Returns:
      A `summary` for each band of yaw: within_30 and 30_to_60 degrees.
    """
    shown = tqdm(zip(images, points, strict=True), "detect", len(points), unit="photo", dynamic_ncols=True)
    findings = [find_face(image, true) for image, true in shown]
    size = np.abs(yaw)
    return {
        band: summary([f for f, turned in zip(findings, size, strict=True) if low <= turned < high])
        for band, (low, high) in BANDS.items()
    }
