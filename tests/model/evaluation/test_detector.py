"""The rule for a found face, and the summary of findings."""

import numpy as np
import pytest

from lib.face_image.detection import Face
from model.evaluation import detector as evaluation_detector
from model.evaluation.detector import Finding, detector_metrics, find_face, summary

POINTS = np.array([[10, 10], [30, 10], [20, 20], [13, 30], [27, 30]], np.float64)
IMAGE = np.zeros((40, 40, 3), np.uint8)


@pytest.fixture
def detections(monkeypatch):
    """The detector's answers for every picture; filled by the test."""
    found: list[Face] = []
    monkeypatch.setattr(evaluation_detector, "detect_faces", lambda image, refine: list(found))
    return found


def face(offset: float, confidence: float = 0.995) -> Face:
    return Face(np.array([0, 0, 40, 40], np.float64), POINTS + (offset, 0), confidence)


def test_errors_are_per_cent_of_the_distance_between_the_eyes(detections):
    detections.append(face(1.0))
    np.testing.assert_allclose(find_face(IMAGE, POINTS).errors, 5.0)


def test_the_closest_detection_counts_and_one_elsewhere_does_not(detections):
    detections += [face(30.0, 1.0), face(2.0, 0.91), face(5.0, 1.0)]
    assert find_face(IMAGE, POINTS).confidence == 0.91
    del detections[1:]
    assert find_face(IMAGE, POINTS) is None


def test_shares_are_of_all_faces_and_errors_of_those_found():
    found = summary([Finding(0.999, np.full(5, 4.0)), Finding(0.95, np.full(5, 8.0)), None, None])
    assert found == {"faces": 4, "found": 0.5, "sure": 0.25, "points_percent": 6.0}
    assert summary([None])["points_percent"] is None
    assert summary([]) is None


def test_bands_of_yaw_are_told_apart(detections):
    detections.append(face(1.0))
    points = np.stack([POINTS, POINTS, POINTS + 30, POINTS, POINTS])
    metrics = detector_metrics([IMAGE] * 5, points, np.array([0, 30, -29, -60, 61]))
    assert metrics["within_30"] == {"faces": 2, "found": 0.5, "sure": 0.5, "points_percent": 5.0}
    assert metrics["30_to_60"]["faces"] == 2, "30 degrees are of this band, and 61 of none"
    assert metrics["30_to_60"]["found"] == 1.0
