"""Errors of predicted coefficients, by hand."""

import dataclasses

import numpy as np
import pytest

from lib.face_model.coefficients import CoefficientLayout
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from model.metrics.networks import coefficient_errors, regressor_metrics
from tests.support.golden_face import golden_face_model

CAMERA = Camera((224, 224))


def test_accuracy_of_the_truth_and_of_the_mean_face():
    face_model = golden_face_model()
    truth = np.random.default_rng(1).normal(0, 0.3, (3, face_model.layout.size)).astype(np.float32)
    exact = regressor_metrics(face_model, CAMERA, truth, truth)
    assert {v for k, v in exact.items() if k not in ("faces", "rotation_degrees")} == {0.0}
    assert exact["rotation_degrees"] < 0.1
    mean = regressor_metrics(face_model, CAMERA, np.zeros_like(truth), truth)
    assert mean["shape_ratio"] == mean["albedo_ratio"] == mean["light_ratio"] == 1.0
    turned = truth.copy()
    turned[:, face_model.layout.slices["angles"]] = 0.0
    still = truth.copy()
    still[:, face_model.layout.slices["angles"]] = [0.0, 0.2, 0.0]
    assert regressor_metrics(face_model, CAMERA, turned, still)["rotation_degrees"] == pytest.approx(11.459, abs=0.01)


def unposed(faces: int, face_model: FaceModel) -> np.ndarray:
    """[faces, K] coefficients of one random face, frontal and in the middle."""
    truth = np.random.default_rng(1).normal(0, 0.3, face_model.layout.size).astype(np.float32)
    for group in ("expression", "angles", "translation"):
        truth[face_model.layout.slices[group]] = 0.0
    return np.repeat(truth[None], faces, axis=0)


def test_landmarks_are_off_by_a_share_of_the_distance_between_the_eyes():
    face_model = golden_face_model()
    flat = dataclasses.replace(  # all at one depth, so that the share is the same in the picture
        face_model, mean_shape=face_model.mean_shape * (1, 1, 0), identity_basis=face_model.identity_basis * (1, 1, 0)
    )
    truth = unposed(4, flat)
    shape = flat.mean_shape + np.tensordot(flat.layout.split(truth[0]).identity, flat.identity_basis, 1)
    right, left = shape[flat.landmarks[[36, 45]]]
    moved = truth.copy()
    moved[1:, flat.layout.slices["translation"].start] = np.linalg.norm(left - right) * np.array([0.1, 0.2, 0.3])
    assert regressor_metrics(flat, CAMERA, moved, truth)["landmarks_percent"] == pytest.approx(15.0, abs=2e-3)


def test_errors_are_means_over_the_faces():
    face_model = golden_face_model()
    truth = unposed(4, face_model)
    moved = truth.copy()
    moved[:, face_model.layout.slices["translation"]] = [[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0.3, 0.4]]
    moved[:, face_model.layout.slices["angles"].start + 1] = np.radians([0, 10, 20, 30])
    metrics = regressor_metrics(face_model, CAMERA, moved, truth)
    assert metrics["translation_dm"] == pytest.approx(0.2, abs=1e-4)
    assert metrics["rotation_degrees"] == pytest.approx(15.0, abs=0.02)
    assert metrics["faces"] == 4


def test_ratios_are_shares_of_what_the_faces_have():
    """A face that is exaggerated by half is half as wrong as the mean face; the other is three times as marked."""
    face_model = golden_face_model()
    one = np.random.default_rng(1).normal(0, 0.3, face_model.layout.size)
    truth, predicted = (np.stack([scale * one, 3 * one]).astype(np.float32) for scale in (1.0, 1.5))
    metrics = regressor_metrics(face_model, CAMERA, predicted, truth)
    for name in ("shape_ratio", "albedo_ratio", "light_ratio"):
        assert metrics[name] == pytest.approx(0.5 / 4, abs=1e-4), name


def test_coefficient_errors_are_root_mean_squares():
    layout = CoefficientLayout(2, 1, 1)
    truth = np.ones((2, layout.size))
    predicted = truth.copy()
    predicted[:, 0], predicted[:, 1], predicted[:, 3] = (1, 3), (0, 2), (-2, 5)
    assert coefficient_errors(layout, predicted, truth) == {"identity": [1.4142, 1.0], "albedo": [3.5355]}
