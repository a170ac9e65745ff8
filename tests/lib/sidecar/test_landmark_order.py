"""Landmarks in another order or frame are recognised by the orientation of the face."""

import numpy as np
import pytest

from lib.face_mesh.groups import mirror_numbers
from lib.sidecar.landmark_order import MIRRORED_68, in_order, in_pixels, other_orders

SIZE = (120, 100)  # height, width
FIVE = np.array([[30.0, 40], [60, 41], [45, 55], [34, 70], [56, 71]])


def face(count: int, turn: float = 0.0) -> np.ndarray:
    """Points of a face turned by some degrees in the image, random ones around the five."""
    points = np.random.default_rng(count).uniform(20, 80, (count, 2))
    if count == 5:
        points = FIVE.copy()
    elif count == 68:
        points[36:42], points[42:48], points[[30, 48, 54]] = FIVE[0], FIVE[1], FIVE[2:]
    else:
        points[[33, 160, 158, 133, 153, 144]], points[[362, 385, 387, 263, 373, 380]] = FIVE[0], FIVE[1]
        points[[4, 61, 291]] = FIVE[2:]
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return (points - 50) @ np.array([[cos, sin], [-sin, cos]]) + 50


@pytest.mark.parametrize("count", [5, 68, 468])
@pytest.mark.parametrize("turn", range(0, 360, 30))
def test_right_points_are_left_alone_however_the_face_is_turned(count, turn):
    points = face(count, turn)
    kept, remark = in_order(points, SIZE)
    np.testing.assert_array_equal(kept, points)
    assert not remark


@pytest.mark.parametrize("count", [5, 68, 468])
@pytest.mark.parametrize("turn", [-30, 0, 30])
@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda p: p[mirror(len(p))], "left and right exchanged"),
        (lambda p: np.stack([p[:, 0], SIZE[0] - p[:, 1]], axis=1), "y pointing up"),
        (lambda p: p[:, ::-1], r"\(row, column\)"),
    ],
)
def test_other_orders_are_put_right_with_a_word(count, turn, spoil, remark):
    points = face(count, turn)
    put_right, said = in_order(spoil(points), SIZE)
    np.testing.assert_allclose(put_right, points)
    assert remark.replace("\\", "") in said


@pytest.mark.parametrize("count", [5, 68, 468])
@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda p, s: (p * (1, -1) + (0, s[0]))[mirror(len(p))], "y up, left and right exchanged"),
        (lambda p, s: p[mirror(len(p)), ::-1], "(row, column), left and right exchanged"),
        (lambda p, s: p[:, ::-1] * (1, -1) + (0, s[1]), "(row, column), x to the left"),
        (lambda p, s: s[::-1] - p, "y up, x to the left"),
    ],
)
def test_two_reflections_are_among_the_other_orders(count, share, spoil, remark):
    points, size = (face(count) / SIZE[::-1], (1, 1)) if share else (face(count), SIZE)
    found = {word: order for order, word in other_orders(spoil(points, size), SIZE)}
    np.testing.assert_allclose(found[f"by the photo, landmarks had {remark}; put them right"], points, atol=1e-12)
    assert len(found) == 6


def mirror(count: int) -> list[int]:
    return {5: [1, 0, 2, 4, 3], 68: list(MIRRORED_68), 468: list(mirror_numbers())}[count]


def test_the_mirror_of_68_is_an_involution_that_moves_what_is_not_in_the_middle():
    order = np.array(MIRRORED_68)
    np.testing.assert_array_equal(order[order], np.arange(68))
    np.testing.assert_array_equal(np.flatnonzero(order == np.arange(68)), [8, 27, 28, 29, 30, 33, 51, 57, 62, 66])


def test_a_face_inside_out_for_no_known_reason_is_refused():
    with pytest.raises(ValueError, match="inside out"):
        in_order((100 - face(5))[:, ::-1], SIZE)


def test_the_sign_is_not_trusted_in_profile():
    profile = np.array([[40.0, 40], [39, 40], [20, 55], [36, 70], [34, 70]])
    assert not in_order(profile, SIZE)[1]


def test_shares_of_the_size_become_pixels():
    points, remark = in_pixels(FIVE / (100, 120), SIZE)
    np.testing.assert_allclose(points, FIVE)
    assert "shares" in remark
    np.testing.assert_array_equal(in_pixels(FIVE, SIZE)[0], FIVE)
