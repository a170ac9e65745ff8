"""The joined mask on painted faces: the decoder's opinion and the photo's colours each correct the other."""

import cv2
import numpy as np
import pytest
import skimage.data

from lib.face_mask.dense_mask import OUTSIDE, WORKING_SIDE, _in_few_pieces, dense_mask, spread_out
from lib.face_mesh.groups import LEFT_BROW, LEFT_EYE, OVAL, RIGHT_BROW
from lib.face_mesh.network import Square, find_mesh_points, square_around
from tests.lib.face_mask.test_glasses import with_glasses
from tests.support.photo_corpus import ASTRONAUT_FIVE as FIVE

SKIN, HAIR = (205, 160, 140), (50, 40, 35)
INSIDE = np.ones((WORKING_SIDE, WORKING_SIDE), bool)


@pytest.fixture(scope="module")
def points():
    """[468, 2] points of a real face, moved into the middle of a crop."""
    found = find_mesh_points(np.ascontiguousarray(skimage.data.astronaut()), FIVE).points
    low, high = found.min(0), found.max(0)
    return (found - (low + high) / 2) * (130 / (high - low).max()) + WORKING_SIDE / 2


def painted(points, generator, fringe=0):
    """A face of one colour on hair of another; the fringe covers so many rows of it."""
    image = np.full((WORKING_SIDE, WORKING_SIDE, 3), HAIR, np.float64)
    face = np.zeros((WORKING_SIDE, WORKING_SIDE), np.uint8)
    cv2.fillPoly(face, [np.rint(points[list(OVAL)]).astype(np.int32)], 1)
    face[: int(points[:, 1].min()) + fringe] = 0
    image[face > 0] = SKIN
    return np.clip(image + generator.normal(0, 4, image.shape), 0, 255).astype(np.uint8), face > 0


def decoded(mask, square, strength=4.0):
    """Log odds of a decoder that sees `mask`."""
    seen = square.cut(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, -1), 96)[..., 0] / 255
    return ((seen - 0.5) * 2 * strength).astype(np.float32)


def overlap(mask, truth):
    return ((mask > 0.5) & truth).sum() / ((mask > 0.5) | truth).sum()


def test_log_odds_lie_where_the_square_lies():
    square = Square(np.array([120.0, 100.0]), 96.0, 0.3)
    log_odds = np.full((96, 96), -3.0, np.float32)
    log_odds[30:40, 60:70] = 3.0  # around (0.6771, 0.3646) of the square
    spread = spread_out(log_odds, square)
    column, row = square.to_image(np.array([65 / 96, 35 / 96]))
    assert spread[int(row), int(column)] == pytest.approx(3)
    rows, columns = np.nonzero(spread > 0)
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], [column, row], atol=0.1)
    assert spread[5, 5] == OUTSIDE


def test_colours_correct_a_decoder_that_takes_the_fringe_for_skin(points):
    image, visible = painted(points, np.random.default_rng(0), fringe=40)
    _, whole = painted(points, np.random.default_rng(0))
    square = square_around(points)
    mask = dense_mask(image, points, decoded(whole, square, 1.0), square, INSIDE)
    assert overlap(mask, visible) > 0.95
    assert overlap(whole.astype(float), visible) < 0.8


def test_the_decoder_corrects_colours_that_do_not_differ(points):
    image, visible = painted(points, np.random.default_rng(0))
    image[:] = SKIN  # a wall of the same colour
    square = square_around(points)
    assert overlap(dense_mask(image, points, decoded(visible, square), square, INSIDE), visible) > 0.93


def test_the_decoder_overrules_the_place_in_the_face(points):
    """A hand as light as the face: the decoder, even in some doubt, knows better than that faces are oval."""
    image, visible = painted(points, np.random.default_rng(0))
    image[:] = SKIN
    hand = np.zeros(visible.shape, bool)
    row, column = np.rint(points[205][::-1]).astype(int)  # a cheek
    hand[row - 12 : row + 12, column - 12 : column + 12] = True
    square = square_around(points)
    log_odds = decoded(visible, square)
    log_odds[decoded(hand, square) > 0] = -1.8
    mask = dense_mask(image, points, log_odds, square, INSIDE)
    assert (mask[hand] > 0.5).mean() < 0.45
    assert overlap(mask, visible & ~hand) > 0.9


def test_doubt_between_the_features_is_no_occluder(points):
    """Shadow beside the nose, where hardly anything covers a face; on the cheek, the same doubt counts."""
    image, visible = painted(points, np.random.default_rng(0))
    image[:] = SKIN
    square, kept = square_around(points), []
    for number in (6, 123):  # the nose's bridge, the border of a cheek
        row, column = np.rint(points[number][::-1]).astype(int)
        spot = np.zeros(visible.shape, bool)
        spot[row - 8 : row + 8, column - 8 : column + 8] = True
        log_odds = decoded(visible, square)
        log_odds[decoded(spot, square) > 0] = -2.8
        kept.append((dense_mask(image, points, log_odds, square, INSIDE)[spot & visible] > 0.5).mean())
    assert kept[0] > 0.9
    assert kept[1] < 0.5


def test_a_neck_that_the_decoder_takes_for_skin_is_none_of_the_face(points):
    image, visible = painted(points, np.random.default_rng(0))
    neck = np.zeros(visible.shape, bool)
    left, right = points[[172, 397]].astype(int)  # corners of the jaw
    neck[left[1] :, left[0] : right[0]] = True
    neck &= ~visible
    image[neck] = SKIN
    square = square_around(points)
    log_odds = decoded(visible, square)
    log_odds[decoded(neck, square) > 0] = 1.0
    mask = dense_mask(image, points, log_odds, square, INSIDE)
    beyond = cv2.distanceTransform((~visible).astype(np.uint8), cv2.DIST_L2, 5) > 12
    assert mask[neck & beyond].mean() < 0.01
    assert overlap(mask, visible) > 0.93


def test_dark_strands_above_the_brows_are_hair_whatever_the_decoder_sees(points):
    image, visible = painted(points, np.random.default_rng(0))
    image[~visible] = (235, 235, 240)  # a wall, so that nothing around the head is as dark
    strands = visible & ((np.arange(WORKING_SIDE) + 4) // 12 % 2 == 0)
    strands[int(points[list(LEFT_BROW + RIGHT_BROW), 1].min()) :] = False
    image[strands] = (30, 22, 18)
    square = square_around(points)
    mask = dense_mask(image, points, decoded(visible, square, 3.0), square, INSIDE)
    assert mask[strands].mean() < 0.5
    assert overlap(mask, visible & ~strands) > 0.9


@pytest.mark.parametrize(("log_odds", "least", "most"), [(-1.0, 0.0, 0.2), (0.0, 0.85, 1.0)])
def test_a_shade_that_no_example_has_is_judged_by_all_that_is_likely(points, log_odds, least, most):
    """Shadow on a forehead: neither the cheeks nor what is around the head show its colour."""
    image, visible = painted(points, np.random.default_rng(0))
    shade = visible.copy()
    shade[: int(points[:, 1].min()) + 6] = False
    shade[int(points[list(LEFT_BROW + RIGHT_BROW), 1].min()) - 4 :] = False
    image[shade] = np.random.default_rng(1).normal((150, 110, 95), 4, (shade.sum(), 3))
    square = square_around(points)
    seen = decoded(visible, square)
    seen[decoded(shade, square) > 0] = log_odds
    assert least <= dense_mask(image, points, seen, square, INSIDE)[shade].mean() <= most


def test_doubtful_pixels_do_not_vote_for_themselves(points):
    """A deep fringe of which the decoder is rather sure that it is skin hardly leaks into the mask."""
    image, visible = painted(points, np.random.default_rng(0), fringe=50)
    _, whole = painted(points, np.random.default_rng(0))
    square = square_around(points)
    mask = dense_mask(image, points, decoded(whole, square, 2.0), square, INSIDE)
    assert (mask[whole & ~visible] > 0.5).mean() < 0.2


def test_the_rims_of_glasses_are_cut_out(points):
    image, visible = painted(points, np.random.default_rng(0))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    _, rims = with_glasses(grey, points)
    image[rims] = 25
    square = square_around(points)
    mask = dense_mask(image, points, decoded(visible, square), square, INSIDE)
    assert (mask[rims] == 0).mean() > 0.95


def test_a_hole_of_the_size_of_a_brow_is_filled(points):
    image, visible = painted(points, np.random.default_rng(0))
    row, column = np.rint(points[205][::-1]).astype(int)
    spot = np.zeros(visible.shape, bool)
    spot[row - 4 : row + 4, column - 6 : column + 6] = True
    image[spot] = HAIR
    square = square_around(points)
    mask = dense_mask(image, points, decoded(visible & ~spot, square), square, INSIDE)
    assert (mask[spot] > 0.5).all()


def test_dropped_pieces_and_filled_holes_leave_no_soft_rings():
    sharp = np.zeros((80, 80), np.float32)
    sharp[10:60, 10:60] = 1  # with a hole, and specks far from it and near
    sharp[30:36, 30:36] = 0
    sharp[66:72, 66:72] = sharp[30:34, 62:65] = 1
    soft = cv2.blur(sharp, (3, 3))
    alpha = _in_few_pieces(soft, np.ones(soft.shape, bool), np.ones(soft.shape))
    assert (alpha[62:, 62:] == 0).all()
    assert (alpha[25:41, 25:41] == 1).all()
    np.testing.assert_array_equal(alpha[8:12], soft[8:12], err_msg="the border of what stays")
    assert (alpha[28:36, 62:] == 0).all()


@pytest.mark.parametrize(
    ("rows", "odds", "kept"),
    [((10, 20), 2.0, False), ((10, 20), 6.0, True), ((40, 50), 2.0, True), ((4, 34), 2.0, True)],
    ids=["light on a fringe", "forehead above goggles", "between the features", "large"],
)
def test_a_doubtful_piece_beside_the_features_is_dropped_unless_it_is_large(rows, odds, kept):
    """The features lie in rows 36 and below."""
    alpha, inner, piece = np.zeros((WORKING_SIDE, WORKING_SIDE), np.float32), *np.zeros((2, *INSIDE.shape), bool)
    piece[slice(*rows), 60:110] = True
    inner[36:140] = True
    alpha[100:150, 60:110] = 1
    decoded = 8.0 * alpha
    alpha[piece], decoded[piece] = 1, odds
    assert (_in_few_pieces(alpha, inner, decoded)[piece] == kept).all()


def test_an_eye_is_filled_unless_the_decoder_sees_it_covered(points):
    image, visible = painted(points, np.random.default_rng(0))
    eye = np.zeros(visible.shape, np.uint8)
    cv2.fillPoly(eye, [np.rint(points[list(LEFT_EYE)]).astype(np.int32)], 1)
    image[eye > 0] = (20, 30, 60)
    square = square_around(points)
    mask = dense_mask(image, points, decoded(visible, square), square, INSIDE)
    assert (mask[eye > 0] > 0.5).mean() > 0.95
    lens = cv2.dilate(eye, np.ones((9, 9))) > 0
    image[lens] = (20, 30, 60)
    mask = dense_mask(image, points, decoded(visible & ~lens, square), square, INSIDE)
    assert (mask[eye > 0] > 0.5).mean() < 0.05


def test_other_sizes_and_what_the_photo_does_not_cover(points):
    image, visible = painted(points, np.random.default_rng(0))
    square = square_around(points)
    large = cv2.resize(image, (448, 448), interpolation=cv2.INTER_CUBIC)
    inside = np.ones((448, 448), bool)
    inside[:, :200] = False
    twice = Square(square.centre * 2, square.side * 2, square.angle)
    mask = dense_mask(large, points * 2, decoded(visible, square), twice, inside)
    assert mask.shape == (448, 448)
    assert mask.dtype == np.float32
    assert mask[:, :200].max() == 0
    assert overlap(mask[::2, ::2][:, 100:], visible[:, 100:]) > 0.95


def test_masks_of_small_crops_are_means_of_the_working_size(monkeypatch):
    """Not every seventh pixel, which a strand of hair may cover or miss."""
    strands = np.tile(np.arange(WORKING_SIDE) % 7 != 3, (WORKING_SIDE, 1)).astype(np.float32)
    monkeypatch.setattr("lib.face_mask.dense_mask._opacity", lambda *_: strands)
    crop, square = np.zeros((32, 32, 3), np.uint8), Square(np.full(2, 16.0), 20.0, 0.0)
    mask = dense_mask(crop, np.zeros((468, 2)), np.zeros((96, 96), np.float32), square, np.ones((32, 32), bool))
    np.testing.assert_allclose(mask, 6 / 7, atol=1e-6)
