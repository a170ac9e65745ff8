"""Five-point alignment against the published one, and its way back to the photo."""

import numpy as np
import pytest
from PIL import Image

from lib.face_image import alignment
from tests.support.helpers import assert_close, shared_file
from tests.support.pictures.aligned_photos import TEMPLATE, photo_and_points
from tests.support.published_files.published import crop_points


def test_published_numbers():
    """The published photos themselves are needed for the pixels; the numbers below need only their sizes."""
    with np.load(shared_file("golden/alignment.npz"), allow_pickle=False) as data:
        expected = dict(data)
    for index in range(2):
        width, height = expected["image_size_wh"][index]
        points = expected["landmarks5"][index].astype(np.float64)
        blank = np.zeros((height, width, 3), np.uint8)
        actual = alignment.align(blank, points, expected["lm3d_5"])
        assert_close(actual.scale, expected["s"][index])
        assert_close(actual.shift, expected["t"][index])
        assert actual.resized_size == tuple(expected["resized_wh"][index])
        assert actual.box == tuple(expected["crop_box"][index].astype(int))
        assert_close(actual.photo_to_crop, expected["affine_src_to_crop"][index], 1e-6)
        parameters = [width, height, alignment.TARGET_SCALE / actual.scale, *actual.shift]
        np.testing.assert_allclose(parameters, expected["trans_params"][index], rtol=1e-4)
        published = crop_points(actual, points, (height, width))
        assert_close(published, expected["landmarks5_crop"][index])


def test_the_published_formula_by_hand():
    """A frontal face of 70 px a decimetre: rows are counted from 299, the last one, and int() truncates."""
    photo, points = photo_and_points(height=300, width=260, scale=70.0, centre=(120.0, 140.0))
    result = alignment.align(photo, points, TEMPLATE)
    assert result.scale == pytest.approx(70)
    np.testing.assert_allclose(result.shift, [120, 299 - 140])
    assert result.resized_size == (378, 437)  # of 378.86 and 437.14
    # From the middle of the resized photo 112 px to the corner, and to the face: 10 px left, 9 px up of the photo.
    assert result.box[:2] == (int(189 - 112 - 10 * 102 / 70), int(218.5 - 112 - 9 * 102 / 70)) == (62, 93)
    wanted = [[378 / 260, 0, -62], [0, 437 / 300, -93]]
    np.testing.assert_allclose(result.photo_to_crop, wanted)


def test_window_equals_the_crop_of_the_whole_resized_photo():
    photo, points = photo_and_points()
    result = alignment.align(photo, points, TEMPLATE, size=112)
    whole = Image.fromarray(photo).resize(result.resized_size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(whole.crop(result.box), np.int32) - result.crop).max() <= 1


def test_points_survive_the_way_to_the_crop_and_back():
    photo, points = photo_and_points()
    result = alignment.align(photo, points, TEMPLATE)
    np.testing.assert_allclose(result.to_photo(result.to_crop(points)), points, atol=1e-9)
    np.testing.assert_allclose(result.to_crop(points), result.points)
    # The scale brings a decimetre to 102 pixels, and the face's origin to the middle up to the truncations.
    offsets = result.points[1] - result.points[0]
    np.testing.assert_allclose(offsets, [0.62 * 102, 0], atol=0.6)
    centre = result.points[:2].mean(0) - (0, -0.29 * 102)
    np.testing.assert_allclose(centre, [112, 112], atol=2)


def test_a_marked_point_is_found_where_the_map_says():
    photo, points = photo_and_points()
    photo = np.zeros_like(photo)
    photo[148:153, 88:93] = 255  # centred on (90.5, 150.5) in pixel edges
    result = alignment.align(photo, points, TEMPLATE)
    weights = result.crop[..., 0].astype(np.float64)
    rows, columns = np.mgrid[:224, :224] + 0.5
    found = [(weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()]
    np.testing.assert_allclose(found, result.to_crop(np.array([90.5, 150.5])), atol=0.1)


def test_outside_of_the_photo_is_black_and_known():
    photo, points = photo_and_points(centre=(20.0, 30.0))
    result = alignment.align(np.maximum(photo, 10), points, TEMPLATE)
    assert not result.inside.all()
    assert result.inside.any()
    assert (result.crop[~result.inside] == 0).all()
    assert (result.crop[result.inside] > 0).any(-1).all()


def test_alpha_leaves_the_colours_alone():
    photo, points = photo_and_points()
    alpha = np.zeros(photo.shape[:2] + (1,), np.uint8)
    alpha[100:200, 80:160] = 255
    with_alpha = alignment.align(np.concatenate([photo, alpha], axis=-1), points, TEMPLATE)
    without = alignment.align(photo, points, TEMPLATE)
    np.testing.assert_array_equal(with_alpha.crop[..., :3], without.crop)
    assert set(np.unique(with_alpha.crop[..., 3])) >= {0, 255}


def test_other_sizes_scale_the_face():
    photo, points = photo_and_points()
    large, small = (alignment.align(photo, points, TEMPLATE, size) for size in (224, 112))
    np.testing.assert_allclose(large.points, small.points * 2, atol=2.5)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.zeros((4, 2)), np.full((5, 2), 1e7) + np.eye(5, 2) * 500])
def test_impossible_points_are_refused(points):
    with pytest.raises(ValueError, match="points must"):
        alignment.align(np.zeros((50, 50, 3), np.uint8), points, TEMPLATE)


def test_five_of_68():
    landmarks = np.random.default_rng(0).normal(size=(68, 3))
    five = alignment.FIVE_FROM_68 @ landmarks
    np.testing.assert_allclose(five[0], landmarks[36:42].mean(0), atol=1e-6)
    np.testing.assert_allclose(five[1], landmarks[42:48].mean(0), atol=1e-6)
    np.testing.assert_allclose(five[2:], landmarks[[30, 48, 54]], atol=1e-6)
