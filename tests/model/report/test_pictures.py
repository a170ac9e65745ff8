"""Pictures of a photo in its own view."""

import numpy as np

from lib.images.display import to_bytes
from model.report.pictures import crop_pictures, landmark_picture
from tests.support.report_pages import photo_result


def test_landmarks_are_green_and_detected_points_red():
    grey = np.full([64, 64, 3], 0.5, np.float32)
    landmarks = np.stack(np.meshgrid(np.linspace(6.5, 57.5, 17), [10.5, 20.5, 30.5, 40.5]), -1).reshape(-1, 2)
    points = np.array([[8.5, 52.5], [20.5, 52.5], [32.5, 56.5], [44.5, 52.5], [56.5, 52.5]])
    drawn = landmark_picture(grey, landmarks, points).astype(int)
    for places, colour in ((landmarks, (60, 255, 60)), (points, (255, 40, 40))):
        for x, y in np.floor(places).astype(int):
            np.testing.assert_allclose(drawn[y, x], colour, atol=12)
    changed = np.abs(drawn - 128).max(axis=-1) > 3
    assert 68 + 5 < changed.sum() < 12 * (68 + 5)
    assert not changed[:, :4].any()


def test_each_picture_is_of_its_own():
    result = photo_result("a.png", 1)
    found, reconstruction = crop_pictures(result), result.reconstruction
    assert list(found) == ["photo", "mask", "coarse", "fine", "overlay", "landmarks"]
    np.testing.assert_array_equal(found["photo"], to_bytes(result.photo.rgb))
    inside = np.asarray(reconstruction.mask)[0, ..., 0] == 1
    assert inside.sum() > 100
    for name, rendering in (("fine", reconstruction.rendering), ("coarse", reconstruction.coarse.rendering)):
        shown = to_bytes(np.clip(np.asarray(rendering)[0], 0, 1))
        np.testing.assert_array_equal(found[name][inside], shown[inside])
    # The face is drawn over the photo, which stays around it.
    np.testing.assert_allclose(found["overlay"][inside], found["fine"][inside], atol=1)
    around = np.asarray(reconstruction.mask)[0, ..., 0] == 0
    np.testing.assert_array_equal(found["overlay"][around], found["photo"][around])
    assert np.abs(found["overlay"].astype(int) - found["photo"])[inside].mean() > 10
