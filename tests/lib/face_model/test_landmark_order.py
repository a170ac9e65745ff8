"""Landmarks of another order are refused, also those that are hardly out of place; unusual faces are not."""

import subprocess
import sys

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.landmark_order import HEIGHTS, MISFIT, SIDES, check_landmarks
from tests.support.faces import built_in_face, coarse_head
from tests.support.helpers import ROOT, shared_file


@pytest.fixture(scope="module")
def built_in():
    return built_in_face(2000)


def exchanged(*numbers: int) -> np.ndarray:
    """[68] with the sides of these landmarks exchanged."""
    order = np.arange(68)
    for right, left in SIDES:
        if right in numbers or left in numbers:
            order[[right, left]] = left, right
    return order


def heads_of_people(count: int, strength: float) -> list[np.ndarray]:
    head, generator = coarse_head("face"), np.random.default_rng(0)
    coefficients = strength * generator.standard_normal((count, len(head.identity_basis)))
    bases = head.identity_basis[:, head.landmarks].astype(np.float64)
    return list(head.mean_shape[head.landmarks] + np.tensordot(coefficients, bases, 1))


def drawn(points: np.ndarray, depth: float, eyes: float) -> np.ndarray:
    """A drawing's face: broad, flat and with large eyes."""
    points = points - points.mean(axis=0)
    for eye in (slice(36, 42), slice(42, 48)):
        points[eye] = points[eye].mean(axis=0) + eyes * (points[eye] - points[eye].mean(axis=0))
    return points * (1.2, 1, depth)


def test_pairs_name_each_landmark_beside_the_midline_once():
    middle = {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}
    assert sorted(np.ravel(SIDES)) == sorted(set(range(68)) - middle)
    head = coarse_head("face")
    points = head.mean_shape[head.landmarks]
    assert all(points[right, 0] < points[left, 0] for right, left in SIDES)
    assert all(points[upper, 1] > points[lower, 1] for upper, lower in HEIGHTS)


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_faces_of_people_caricatures_and_drawings_are_accepted(built_in, unit):
    mean = coarse_head("face").mean_shape[coarse_head("face").landmarks].astype(np.float64)
    faces = [*heads_of_people(40, 1.0), *heads_of_people(40, 2.0), drawn(mean, 0.6, 2), drawn(mean, 0.4, 2.5)]
    for points in faces:
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        similarity = check_landmarks(unit * points @ turn + 5, built_in, "mine")
        assert 0.5 / unit < np.cbrt(np.linalg.det(similarity[:3, :3])) < 2 / unit


def test_a_published_model_fits_with_room_to_spare(built_in):
    with np.load(shared_file("data/ict_face_model.npz")) as data:
        points = data["mean_shape"][data["landmarks68"]].astype(np.float64)
    similarity = check_landmarks(points, built_in, "ict")
    aligned = points @ similarity[:3, :3].T + similarity[:3, 3]
    reference = built_in.mean_shape[built_in.landmarks]
    assert np.sqrt(np.square(aligned - reference).sum(axis=1).mean()) < MISFIT / 3


JAW, EYES, MOUTH = range(17), range(36, 48), range(48, 68)
MOUTH_ANTICLOCKWISE = [*range(48), 48, *range(59, 48, -1), 60, *range(67, 60, -1)]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (exchanged(*range(68)), r"lie as on a face, within 25 mm .*\(is x mirrored, .* all sides are exchanged"),
        (exchanged(*JAW), r"lie as on a face, .*\(the usual 68 in their order"),
        (exchanged(*EYES), "lie as on a face"),
        (np.roll(np.arange(68), 17), "lie as on a face"),
        (np.roll(np.arange(68), 1), "lie as on a face"),
        (np.random.default_rng(0).permutation(68), "lie as on a face"),
        (np.zeros(68, int), "lie as on a face"),
        (exchanged(*MOUTH), "in their order, 48 to the left of 54 in an image"),
        (exchanged(31), "in their order, 31 to the left of 35"),
        (MOUTH_ANTICLOCKWISE, "in their order, 50 above 58"),
    ],
    ids=["sides", "jaw", "eyes", "jaw last", "from 1", "any", "one vertex", "mouth", "nose", "mouth anticlockwise"],
)
def test_other_orders_are_refused(built_in, order, message):
    for model in (built_in, coarse_head("face")):
        points = model.mean_shape[model.landmarks][order]
        with pytest.raises(UserError, match=f"mine: landmarks must (be the usual 68 )?{message}"):
            check_landmarks(points, built_in, "mine")


def test_a_left_handed_model_is_told_so(built_in):
    """Its landmarks are right; whoever exchanged them would get a mirrored face."""
    points = built_in.mean_shape[built_in.landmarks] * (-1, 1, 1)
    with pytest.raises(UserError, match=r"must lie as on a face, .* got \d+ mm \(is x mirrored, as in left-handed"):
        check_landmarks(points, built_in, "mine")


def test_only_the_check_loads_trimesh():
    """Every process of test mode imports the module, and most check no landmarks."""
    script = "import sys, lib.face_model_files.human_head; sys.exit('trimesh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60).returncode == 0
