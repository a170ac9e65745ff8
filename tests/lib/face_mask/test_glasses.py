"""Rims of glasses on a photo of a face without any: drawn ones are found, brows and lashes are not."""

import cv2
import numpy as np
import pytest
import skimage.data

from lib.face_mask.glasses import rims
from lib.face_mesh.groups import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from lib.face_mesh.network import find_mesh_points
from tests.support.photo_corpus import ASTRONAUT_FIVE as FIVE


@pytest.fixture(scope="module")
def face():
    photo = np.ascontiguousarray(skimage.data.astronaut())
    points = find_mesh_points(photo, FIVE).points - (160, 20)
    return cv2.cvtColor(photo[20:204, 160:344], cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, points


def with_glasses(grey, points, end=360):
    drawn, worn = np.zeros(grey.shape, np.uint8), grey.copy()
    for eye in (LEFT_EYE, RIGHT_EYE):
        x, y = points[list(eye)].mean(0) - 0.5
        cv2.ellipse(drawn, ((round(x), round(y + 2))), (20, 17), 0, 0, end, 1, 2)
    worn[drawn > 0] = 0.1
    return worn, drawn > 0


def plain(grey):
    """A decoder that sees skin everywhere."""
    return np.ones_like(grey)


def test_drawn_rims_are_found(face):
    worn, drawn = with_glasses(*face)
    found = rims(worn, plain(worn), face[1])
    assert found[drawn].mean() > 0.85
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((7, 7))) > 0
    assert not found[~near].any()


def test_brows_and_lashes_are_no_rims(face):
    grey, points = face
    assert not rims(grey, plain(grey), points).any()


def test_a_line_with_a_gap_is_no_rim(face):
    worn, _ = with_glasses(*face, end=300)
    assert not rims(worn, plain(worn), face[1]).any()


def test_rims_that_are_light_in_places_are_found_where_the_decoder_sees_them(face):
    worn, _ = with_glasses(*face, end=300)
    _, drawn = with_glasses(*face)
    skin = np.where(drawn, 0.3, 1.0).astype(np.float32)
    assert rims(worn, skin, face[1])[drawn].mean() > 0.85


def test_brows_that_the_decoder_takes_for_no_skin_are_no_rims(face):
    grey, points = face
    skin = plain(grey)
    for outline in (LEFT_BROW, RIGHT_BROW):
        cv2.fillPoly(skin, [np.int32(points[list(outline)])], 0.2)
    assert not rims(grey, skin, points).any()


def test_a_dark_brow_and_the_fold_below_the_eye_are_no_rim(face):
    """They close a line around the eye too."""
    grey, points = face
    worn, drawn = with_glasses(grey, points)
    rows = np.indices(grey.shape)[0]
    eye = points[list(LEFT_EYE + RIGHT_EYE), 1].mean()
    fold = drawn & (rows > eye)
    worn[fold] = grey[fold] - 0.12
    assert not rims(worn, plain(worn), points).any()
