"""The 468-point network on a photo: what it sees must follow the photo through shifts, turns, scales and mirrors."""

import cv2
import numpy as np
import pytest
import skimage.data

from lib.errors import UserError
from lib.face_mesh.eyes import WIDER, EyeNetwork, opening
from lib.face_mesh.groups import (
    EYES,
    INNER_LIPS,
    JAW,
    LEFT_EYE,
    LIP_PAIRS,
    MIDLINE,
    OVAL,
    POINTS,
    RIGHT_EYE,
    mirror_numbers,
)
from lib.face_mesh.network import Square, find_mesh_points
from lib.network_files.tflite_network import TfliteNetwork, packaged_network
from tests.support.photo_corpus import ASTRONAUT_FIVE as FIVE


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def points(photo) -> np.ndarray:
    return find_mesh_points(photo, FIVE).points


def test_points_lie_where_features_are(photo, points):
    found = find_mesh_points(photo, FIVE)
    assert found.is_face
    left, right = points[[33, 133]].mean(0), points[[263, 362]].mean(0)
    np.testing.assert_allclose([left, right], FIVE[:2], atol=5)
    np.testing.assert_allclose(found.irises[:, 0], [[203.6, 101.4], [246.5, 103.5]], atol=1.5)  # her pupils, by eye
    np.testing.assert_allclose(points[[61, 291]], FIVE[3:], atol=6)
    assert points[152, 1] > points[17, 1] > points[0, 1] > points[10, 1]  # chin, lips, forehead
    # She smiles and shows her teeth.
    assert all(np.linalg.norm(points[upper] - points[lower]) > 4 for upper, lower in LIP_PAIRS[:3])


def test_points_follow_the_photo(photo, points):
    turn = cv2.getRotationMatrix2D((222, 130), 25, 1.3)
    turned = cv2.warpAffine(photo, turn, (512, 512))

    def moved(pixels):
        """OpenCV turns about pixel centres."""
        return (pixels - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5

    found = find_mesh_points(turned, moved(FIVE)).points
    assert np.linalg.norm(found - moved(points), axis=1).mean() < 2.0


def test_a_mirrored_photo_has_mirrored_points(photo, points):
    """The network itself lies to one side of what it sees; the mean of two looks does not."""
    five = (FIVE * (-1, 1) + (512, 0))[[1, 0, 2, 4, 3]]
    mirrored = find_mesh_points(np.ascontiguousarray(photo[:, ::-1]), five).points
    back = mirrored[mirror_numbers()] * (-1, 1) + (512, 0)
    assert np.linalg.norm(back - points, axis=1).mean() < 0.4


def test_a_rough_start_gives_the_same_points(photo, points):
    rough = find_mesh_points(photo, FIVE + np.random.default_rng(0).normal(0, 4, (5, 2))).points
    assert np.linalg.norm(rough - points, axis=1).mean() < 0.6


def test_no_face_is_noticed(photo):
    assert not find_mesh_points(
        photo[300:, 300:], np.array([[60.0, 60], [120, 60], [90, 90], [70, 120], [110, 120]])
    ).is_face


def test_squares_are_cut_where_they_lie():
    image = np.zeros([90, 120, 3], np.uint8)
    image[40:50, 70:80] = 255
    for angle in (0.0, 0.7):
        square = Square(np.array([75.0, 45.0]), 20.0, angle)
        crop = square.cut(image, 40).astype(float)[..., 0]
        assert crop[20, 20] > 250
        total = crop.sum()
        rows, columns = np.mgrid[:40, :40] + 0.5
        centre = np.array([(columns * crop).sum(), (rows * crop).sum()]) / total / 40
        np.testing.assert_allclose(square.to_image(centre), [75, 45], atol=0.15)
        np.testing.assert_allclose(total / 255, 400, rtol=0.05)
    far = Square(np.array([75.0, 45.0]), 80.0, 0.0).cut(image, 20).astype(float)[..., 0]
    np.testing.assert_allclose(far.sum() / 255, 100 / 16, rtol=0.25)


def test_mirror_numbers_pair_left_and_right():
    mirror = mirror_numbers()
    np.testing.assert_array_equal(mirror[mirror], np.arange(POINTS))
    np.testing.assert_array_equal(np.flatnonzero(mirror == np.arange(POINTS)), MIDLINE)
    for group in (OVAL, JAW, EYES, INNER_LIPS):
        assert set(mirror[list(group)]) == set(group)
    assert (mirror[33], mirror[61]) == (263, 291)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"must be a \.tflite network, got no file"):
        TfliteNetwork(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("no network")
    with pytest.raises(UserError, match=r"must be a \.tflite network, got"):
        TfliteNetwork(tmp_path / "text.tflite")
    with pytest.raises(UserError, match="must be installed"):
        packaged_network("no_such_package", "file")


def test_only_closing_lids_are_the_eye_network_s(monkeypatch):
    """Open ones stay those of the face mesh network."""
    points = np.zeros([468, 2])
    outline = np.array([[x, 1.2 * np.sin(np.pi * x / 8)] for x in (*range(9), *range(7, 0, -1))])
    outline[9:, 1] *= -1
    points[list(LEFT_EYE)], points[list(RIGHT_EYE)] = outline + 20, outline * (-1, 1) + (60, 20)
    assert 0.25 < opening(outline) < 0.35
    shut = outline * (1, 0.2)
    for seen, expected in ((outline * (1, 1.2) + 20.5, outline + 20), (shut + 20, outline * (1, 0.2 / WIDER) + 20)):
        monkeypatch.setattr(
            EyeNetwork, "_look", lambda self, image, lids, mirrored, seen=seen: (seen, np.zeros([5, 2]))
        )
        found = EyeNetwork().find(np.zeros([100, 100, 3], np.uint8), points).lids[0]
        np.testing.assert_allclose(found, expected, atol=1e-9)
