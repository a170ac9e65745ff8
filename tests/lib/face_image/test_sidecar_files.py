"""Landmarks and masks beside photos: their formats, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from lib.face_image import sidecar_files as beside
from lib.face_image.quality import Unusable

FIVE = np.array([[30.0, 40], [60, 41], [45, 55], [34, 70], [56, 71]])


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.b.jpg"
    Image.new("RGB", (100, 120)).save(path)
    return path


@pytest.mark.parametrize("separator", ["\t", " ", ", "])
@pytest.mark.parametrize("place", ["a.b.txt", "detections/a.b.txt"])
def test_five_lines(photo, separator, place):
    file = photo.parent / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(f"{x:.2f}{separator}{y:.2f}" for x, y in FIVE))
    np.testing.assert_allclose(beside.given_points(photo, (120, 100)), FIVE)
    # A photo that was read smaller has its points there.
    np.testing.assert_allclose(beside.given_points(photo, (60, 50)), FIVE / 2)


def test_sixty_eight_points_give_eye_centres_nose_and_mouth_corners(photo):
    points = np.full((68, 2), 50.0)
    points[36:42] = FIVE[0] + np.array([[-6, 0], [-2, -3], [2, -3], [6, 0], [2, 3], [-2, 3]])
    points[42:48] = FIVE[1]
    points[[30, 48, 54]] = FIVE[2:]
    np.save(photo.parent / "a.b.npy", points)
    np.testing.assert_allclose(beside.given_points(photo, (120, 100)), FIVE, atol=1e-5)


def test_points_follow_the_upright_photo(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (120, 100)).save(path, exif=exif)
    np.save(tmp_path / "turned.npy", FIVE)
    np.testing.assert_allclose(beside.given_points(path, (120, 100)), FIVE)


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "five points", "1 2 3 4 5 6 7 8 9 nan", "1 2 3 4 5 6 7 8 9 9000"])
def test_what_is_no_landmarks_is_refused(photo, text):
    photo.with_suffix(".txt").write_text(text)
    with pytest.raises(Unusable, match=r"a\.b\.txt: (must hold 5 or 68|points must lie)") as caught:
        beside.given_points(photo, (120, 100))
    assert caught.value.kind == "bad landmarks or mask"


def test_masks(photo):
    assert beside.given_points(photo, (120, 100)) is None
    assert beside.given_mask(photo, (120, 100)) is None
    mask = np.zeros((120, 100), np.uint8)
    mask[20:80, 30:70] = 255
    file = photo.parent / "a.b_mask.png"
    Image.fromarray(mask).save(file)
    np.testing.assert_array_equal(beside.given_mask(photo, (120, 100)), mask)
    np.testing.assert_array_equal(beside.given_mask(photo, (60, 50)), mask[::2, ::2])
    Image.fromarray(mask[:50]).save(file)
    with pytest.raises(Unusable, match="100 x 120 px, got 100 x 50"):
        beside.given_mask(photo, (120, 100))
    for value in (0, 255):
        Image.fromarray(np.full_like(mask, value)).save(file)
        with pytest.raises(Unusable, match=f"got {value} everywhere"):
            beside.given_mask(photo, (120, 100))
