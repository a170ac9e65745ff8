"""Given landmarks are compared with the photo: other orders are put right, other places refused, doubts the user's."""

import numpy as np
import pytest
import skimage.data

from lib.face_image.alignment import five_points
from lib.face_image.quality import Unusable
from lib.sidecar.landmark_order import in_order, other_orders
from lib.sidecar.sidecar_files import GivenLandmarks
from model.photos import given_faces
from model.photos.given_faces import GivenFaces
from tests.support.faces import built_in_face

PHOTO = skimage.data.astronaut()
FIVE = np.array([[204.0, 101], [245.5, 102.5], [224, 127], [202.5, 139.5], [246.5, 139]])
EXCHANGED = [1, 0, 2, 4, 3]


@pytest.fixture(scope="module")
def placed():
    model = built_in_face(2000)
    return GivenFaces(five_points(model.mean_shape[model.landmarks]), 0.9)


def given(points, size=PHOTO.shape[:2]):
    points, remark = in_order(points, size)
    others = tuple(GivenLandmarks(other, "p.txt", word) for other, word in other_orders(points, size))
    return GivenLandmarks(points, "p.txt", remark, others)


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda p: p, ""),
        (lambda p: p + np.random.default_rng(0).normal(0, 1.5, p.shape), ""),
        (lambda p: (p * (1, -1) + (0, 512))[EXCHANGED], "y up, left and right exchanged"),
        (lambda p: p[:, ::-1][EXCHANGED], "(row, column), left and right exchanged"),
        (lambda p: p[:, ::-1] * (1, -1) + (0, 512), "(row, column), x to the left"),
    ],
)
def test_an_order_that_only_the_photo_tells_is_put_right_with_a_word(placed, spoil, remark):
    face, said = placed(PHOTO, given(spoil(FIVE)))
    assert np.linalg.norm(face.points - FIVE, axis=1).mean() < 4
    assert (remark in said) if remark else not said


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda p: p * 0.5, r"they fit if multiplied by 2\.0., as points of the photo at another size do \(correct"),
        (lambda p: p * 1.3, r"they fit if multiplied by 0\.7."),
        (lambda p: p + (25, 60), r"they fit if shifted by \(-2., -5.\) px, as points of another part of the photo do"),
        (lambda p: (p - p[2]) * 1.6 + p[2] + (12, -16), r"px of 224 beside it \(correct them, or delete the file"),
    ],
)
def test_points_beside_the_photos_face_are_refused_with_the_cause(placed, spoil, cause):
    with pytest.raises(Unusable, match=rf"p\.txt: points must lie on the photo's face, got points .*{cause}") as caught:
        placed(PHOTO, given(spoil(FIVE)))
    assert caught.value.kind == "bad landmarks or mask"


def test_the_user_is_believed_where_neither_network_sees_a_face(placed):
    points = FIVE + (150, 250)
    painting = PHOTO.copy()
    painting[:200] = 128
    face, remark = placed(painting, given(points))
    np.testing.assert_array_equal(face.points, points)
    assert not remark


def test_other_orders_are_tried_where_the_detector_sees_no_face(placed, monkeypatch):
    def no_face(*_):
        raise Unusable("no face", "no face found")

    monkeypatch.setattr(given_faces, "detect_confident_faces", no_face)
    face, said = placed(PHOTO, given((FIVE * (1, -1) + (0, 512))[EXCHANGED]))
    assert np.linalg.norm(face.points - FIVE, axis=1).mean() < 4
    assert "y up, left and right exchanged" in said


def test_rough_points_are_believed(placed):
    """As annotations of turned faces may be; another order does not fit better."""
    points = FIVE + (7, 3)
    face, remark = placed(PHOTO, given(points))
    np.testing.assert_array_equal(face.points, points)
    assert not remark


def test_a_face_beside_another_ones_is_believed(placed):
    """As that of a person in profile in a group, whom only the user can see."""
    profile = FIVE * (0.4, 1) + (260, 150)
    face, _ = placed(PHOTO, given(profile))
    np.testing.assert_array_equal(face.points, profile)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_person_in_a_group_whom_the_networks_miss_is_believed(placed, mirrored):
    """Though the points fit another person if shifted, or if x pointed to the left."""
    turned = FIVE[EXCHANGED] * (-1, 1) + (511, 0) if mirrored else FIVE
    hidden = PHOTO[:, ::-1].copy() if mirrored else PHOTO.copy()
    hidden[:200] = 128
    marked = turned + (1024, 0)
    face, remark = placed(np.hstack([PHOTO, PHOTO, hidden]), given(marked, (512, 1536)))
    np.testing.assert_array_equal(face.points, marked)
    assert not remark


def test_a_mirrored_place_is_no_other_order_as_it_may_be_another_persons():
    remarks = [remark for _, remark in other_orders(FIVE, PHOTO.shape[:2])]
    assert remarks
    assert not [remark for remark in remarks if remark.startswith("by the photo, landmarks had x to the left")]


def test_right_points_cost_one_look(placed, monkeypatch):
    looks, find = [], given_faces.find_mesh_points
    monkeypatch.setattr(given_faces, "find_mesh_points", lambda *given: looks.append(1) or find(*given))
    monkeypatch.setattr(given_faces, "detect_confident_faces", lambda *_: pytest.fail("the detector takes long"))
    placed(PHOTO, given(FIVE))
    assert len(looks) == 1


def test_points_that_coincide_are_left_to_the_alignment(placed):
    assert placed(PHOTO, given(np.full((5, 2), 100.0)))[0].given == "p.txt"
