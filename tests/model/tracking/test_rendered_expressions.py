"""Expressions and gazes of rendered faces: the networks' points follow them, and tracking finds what made them."""

import dataclasses

import numpy as np
import pytest

from benchmarks.synthetic_clip import SQUARE, Clip
from configs import schema
from lib.face_mesh.groups import LID_PAIRS
from lib.face_mesh.network import MeshNetwork
from lib.face_model_files.arkit import arkit_weights
from lib.face_model_files.human_head import load_human_head
from lib.geometry.camera import Camera
from model.dense_landmarks.source import SHIPPED, read_points
from model.fitting.weights import FitWeights
from model.gaze import CORNERS, RADIUS, Eyeballs, find_gaze
from model.tracking.expression_fit import ExpressionFitter

SEED = 7
WEIGHTS = {
    "still": {},
    "open": {"jawOpen": 0.6},
    "wink": {"eyeBlinkLeft": 1.0},
    "smile": {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7},
    "asleep": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}
# Shift of the irises in some of the pictures, canonical millimetres to the subject's left and up.
GAZES = {"open": (3.2, -2.0), "smile": (-3.2, 2.0)}
MILLIMETRES = 100.0  # per decimetre, nearly as in canonical coordinates


class Posed(Clip):
    """Frontal pictures of one person with given weights."""

    weights: dict[str, float]
    shift: tuple[float, float]

    def moment(self, index):
        moment, expression = super().moment(index), np.zeros(len(self.model.expression_basis))
        for shape in self._shapes.shapes:
            expression[list(shape.moved)] += self.weights.get(shape.name, 0.0) / self._shapes.strength
        return dataclasses.replace(moment, expression=expression, angles=np.zeros(3), gaze=np.array(self.shift))


@pytest.fixture(scope="module")
def seen():
    """Name -> (points [468, 2], ARKit's weights as tracked, gaze)."""
    section = schema.load().face_model
    model = load_human_head(schema.load().generated_dir, section.area, section.vertex_count)
    faces, network, found = Posed(model, SEED), MeshNetwork(), {}
    camera, points = Camera((SQUARE, SQUARE)), read_points(SHIPPED[model.name]).points
    eyes = Eyeballs.of(model)
    for name, faces.weights in WEIGHTS.items():
        faces.shift = GAZES.get(name, (0.0, 0.0))
        face = faces.sample(0)
        mesh, parts = network.find(face.image, face.five_points), model.layout.split(face.coefficients)
        fit = ExpressionFitter(model, parts.identity, camera, points, FitWeights())
        unknowns = fit(np.concatenate([np.zeros(fit.count), parts.angles, parts.translation]), mesh.points, 15)
        corners, pose = fit.project(unknowns)[CORNERS], np.split(unknowns[fit.count :], 2)
        gaze = find_gaze(eyes.person(parts.identity), mesh.points, mesh.irises, corners, *pose, camera)
        found[name] = mesh.points, arkit_weights(model, unknowns[: fit.count]), gaze
    return found


def opening(points) -> np.ndarray:
    """[2] distances between the lids of the eye on the image's left and of the other one, pixels."""
    upper, lower = np.array(LID_PAIRS).T
    return np.linalg.norm(points[upper] - points[lower], axis=1).reshape(2, 3).mean(axis=1)


def test_points_follow_closing_lids(seen):
    still, wink = (opening(seen[name][0]) for name in ("still", "wink"))
    assert wink[0] > 0.8 * still[0]
    assert wink[1] < 0.5 * still[1]  # the subject's left eye is on the image's right


@pytest.mark.parametrize(
    ("name", "weight"),
    [("open", "jawOpen"), ("wink", "eyeBlinkLeft"), ("smile", "mouthSmileLeft"), ("smile", "mouthSmileRight")],
)
def test_the_weight_that_made_the_face_rises(seen, name, weight):
    """By a third of its truth at least: the networks see less of an expression in renders than in photos."""
    others = {other: weights[weight] for other, (_, weights, _) in seen.items() if weight not in WEIGHTS[other]}
    assert seen[name][1][weight] > max(others.values()) + WEIGHTS[name][weight] / 3


def test_eyes_look_where_they_were_turned(seen):
    """To the right side, by about the right angle; lids hide more of a movement up or down than of one across."""
    (across, up), truth = np.degrees(seen["open"][2] - seen["smile"][2]), np.subtract(GAZES["open"], GAZES["smile"])
    true_across, true_up = np.degrees(2 * np.arcsin(truth / 2 / MILLIMETRES / RADIUS))
    assert across == pytest.approx(true_across, rel=0.4)
    assert 0.2 < up / true_up < 1.4


def test_eyes_at_rest_look_straight_ahead(seen):
    np.testing.assert_allclose(np.degrees(seen["still"][2]), 0, atol=6)


def test_closed_eyes_have_no_gaze(seen):
    assert seen["asleep"][2] is None
    assert seen["wink"][2] is not None


def test_an_open_mouth_is_the_jaw_s_work(seen):
    """Not that of both lips, which could part as far in front of closed teeth."""
    weights = seen["open"][1]
    lips = [weights[f"{name}{side}"] for name in ("mouthLowerDown", "mouthUpperUp") for side in ("Left", "Right")]
    assert weights["jawOpen"] > max(lips)
