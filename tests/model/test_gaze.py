"""Gaze: found from the irises of turned eyes, as ARKit's weights, and as turned eyeballs."""

import numpy as np
import pytest

from lib.face_mesh.groups import POINTS
from lib.face_model_files.arkit import ARKIT
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_arrays
from model.gaze import (
    CORNERS,
    FULL,
    LIDS,
    NAMES,
    RADIUS,
    Eyeballs,
    find_gaze,
    gaze_weights,
    look_displacements,
    still_gaze,
    with_gaze,
)
from model.video.face_track import held
from tests.support.faces import built_in_face, coarse_head

CAMERA = Camera()
ANGLES, TRANSLATION = np.array([0.1, -0.3, 0.05]), np.array([0.1, -0.2, 0.3])


@pytest.fixture(scope="module")
def eyes():
    return Eyeballs.of(coarse_head("face"))


@pytest.fixture(scope="module")
def shape(eyes):
    """[N, 3] somebody."""
    identity = np.random.default_rng(2).normal(0, 0.7, len(eyes.model.identity_basis))
    return eyes.model.mean_shape + np.tensordot(identity, eyes.model.identity_basis, 1)


def pixels(points: np.ndarray) -> np.ndarray:
    """Projections [..., 2] of points [..., 3] of the posed head."""
    placed = points @ rotation_arrays(ANGLES[None])[0] + TRANSLATION
    scale = CAMERA.focal_length / (CAMERA.distance - placed[..., 2:])
    return CAMERA.image_size[0] / 2 + scale * placed[..., :2] * (1, -1)


def seen(eyes: Eyeballs, shape: np.ndarray, gaze, opening: float = 0.3):
    """Points [468, 2] with the lids, irises [2, 5, 2] and corners [2, 2, 2] of a face that looks somewhere."""
    turned, points, irises = eyes.turned(shape, np.array(gaze)), np.zeros([POINTS, 2]), np.zeros([2, 5, 2])
    spheres = eyes.spheres(shape)
    for side in range(2):
        front = eyes._rows[side][np.argmax(shape[eyes._rows[side], 2])]  # the pole of the cornea
        towards = turned[front] - spheres.centres[side]
        irises[side] = pixels(spheres.centres[side] + spheres.radii[side] * towards / np.linalg.norm(towards))
        x, y = pixels(spheres.centres[side])
        across = np.concatenate([np.linspace(-10, 10, 9), np.linspace(10, -10, 9)[1:-1]]) * (1 - 2 * side)
        points[LIDS[side]] = np.stack([x + across, y + 0 * across], 1)
        points[LIDS[side][9:], 1] -= 20 * opening
    return points, irises, points[CORNERS]


@pytest.mark.parametrize("gaze", [(0.0, 0.0), (0.35, 0.1), (-0.3, -0.2), (0.1, 0.3), (0.6, 0.6)])
def test_turned_eyes_are_found_again(eyes, shape, gaze):
    """Though the fitted face lies some pixels off."""
    points, irises, corners = seen(eyes, shape, gaze)
    off = np.array([3.0, -2.0])
    found = find_gaze(eyes.spheres(shape), points + off, irises + off, corners, ANGLES, TRANSLATION, CAMERA)
    np.testing.assert_allclose(found, gaze, atol=np.radians(1.5))


def test_one_open_eye_is_enough_and_none_too_few(eyes, shape):
    points, irises, corners = seen(eyes, shape, (0.3, 0.0))
    irises[0] = np.nan  # turned away
    found = find_gaze(eyes.spheres(shape), points, irises, corners, ANGLES, TRANSLATION, CAMERA)
    assert found[0] == pytest.approx(0.3, abs=np.radians(1.5))
    closed, _, _ = seen(eyes, shape, (0.3, 0.0), opening=0.05)
    assert find_gaze(eyes.spheres(shape), closed, irises, corners, ANGLES, TRANSLATION, CAMERA) is None


def test_an_iris_beside_the_eyeball_is_at_its_edge(eyes, shape):
    points, irises, corners = seen(eyes, shape, (0.0, 0.0))
    found = find_gaze(eyes.spheres(shape), points, irises + (60, 0), corners, ANGLES, TRANSLATION, CAMERA)
    assert np.isfinite(found).all()
    assert found[0] > 0.8


def test_irises_move_as_far_as_those_of_human_eyes(eyes, shape):
    gaze = np.array([0.3, 0.2])
    turned, spheres = eyes.turned(shape, gaze), eyes.spheres(shape)
    moved = np.flatnonzero(np.linalg.norm(turned - shape, axis=1) > 1e-6)
    assert set(moved) <= set(np.concatenate(eyes._rows))
    for rows, centre, radius in zip(eyes._rows, spheres.centres, spheres.radii, strict=True):
        assert radius > 1.1 * RADIUS
        front = rows[np.argmax(shape[rows, 2])]
        towards = (turned[front] - centre) / np.linalg.norm(turned[front] - centre)
        np.testing.assert_allclose(radius * towards[:2] / RADIUS, [np.sin(0.3) * np.cos(0.2), np.sin(0.2)], atol=2e-3)


def test_weights_have_arkit_s_sides(eyes):
    left = gaze_weights(np.array([FULL, 0.0]))  # to the subject's left
    assert {name for name, weight in left.items() if weight} == {"eyeLookOutLeft", "eyeLookInRight"}
    down = gaze_weights(np.array([[0.0, -FULL / 2]]))
    assert {name: weight[0] for name, weight in down.items() if weight[0]} == {
        "eyeLookDownLeft": pytest.approx(0.5),
        "eyeLookDownRight": pytest.approx(0.5),
    }
    assert tuple(left) == NAMES
    joined = with_gaze({"eyeBlinkLeft": 0.5, "jawOpen": 0.1}, np.zeros(2))
    assert list(joined) == [name for name in ARKIT if name in joined]
    assert len(joined) == 10
    assert with_gaze({"jawOpen": 0.1}, None) == {"jawOpen": 0.1}
    assert with_gaze({}, np.zeros(2)) == {}


def test_sliders_turn_one_eye(eyes):
    moves = look_displacements(eyes)
    for name, move in zip(NAMES, moves, strict=True):
        moved = np.linalg.norm(move, axis=1) > 1e-6
        assert moved.any()
        assert (eyes.model.mean_shape[moved, 0] > 0).all() == name.endswith("Left")
    left = eyes._rows[1]
    front = left[np.argmax(eyes.model.mean_shape[left, 2])]
    assert moves[NAMES.index("eyeLookOutLeft")][front, 0] > 0 > moves[NAMES.index("eyeLookInLeft")][front, 0]


def test_models_without_eyeballs_of_their_own_have_no_gaze(eyes):
    assert still_gaze(eyes.model).tolist() == [0, 0]
    assert still_gaze(built_in_face(2000)) is None


def test_closed_eyes_of_a_video_stay_where_they_were():
    np.testing.assert_array_equal(held([None, np.ones(2), None, 2 * np.ones(2)]), [[0, 0], [1, 1], [1, 1], [2, 2]])
