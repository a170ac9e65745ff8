"""The part of a photo kept for textures lies where the crop says, at the photo's resolution and within a bound."""

import numpy as np
import pytest

from lib.face_image.alignment import align
from lib.face_image.region import face_region
from tests.support.pictures.aligned_photos import TEMPLATE, photo_and_points


def test_every_pixel_of_the_crop_is_found_in_the_region():
    photo, points = photo_and_points(scale=70)
    alignment = align(photo, points, TEMPLATE)
    region = face_region(photo, alignment)
    assert max(region.pixels.shape) <= 224 * 70 / 102 + 2  # the photo's own pixels, not the crop's
    # The region's pixel at a point is the photo's.
    corners = region.from_crop(alignment.to_crop(np.array([[0.0, 0.0]])))
    left, top = -np.rint(corners[0]).astype(int)
    np.testing.assert_allclose(corners[0], [-left, -top], atol=1e-6)
    height, width = region.pixels.shape[:2]
    np.testing.assert_array_equal(region.pixels, photo[top : top + height, left : left + width])
    # Five points of the face: in the photo and in the region they show the same colour.
    for point, place in zip(points, region.from_crop(alignment.points), strict=True):
        (x, y), (column, row) = point.astype(int), place.astype(int)
        np.testing.assert_array_equal(region.pixels[row, column], photo[y, x])


def test_a_face_at_the_border_keeps_what_there_is():
    photo, points = photo_and_points(centre=(20.0, 30.0))
    region = face_region(photo, align(photo, points, TEMPLATE))
    np.testing.assert_allclose(region.from_crop(align(photo, points, TEMPLATE).to_crop(np.zeros(2))), [0, 0], atol=1e-6)
    assert region.pixels.base is None or region.pixels.flags.owndata  # a view would keep a photo of 100 megapixels


@pytest.mark.parametrize("channels", [3, 4])
def test_a_huge_region_is_reduced_and_its_map_with_it(channels):
    photo, points = photo_and_points(height=900, width=780, scale=250.0, centre=(390.0, 450.0))
    photo = np.concatenate([photo, photo[..., :1]], axis=-1)[..., :channels]
    alignment = align(photo, points, TEMPLATE)
    whole, reduced = face_region(photo, alignment), face_region(photo, alignment, longest_side=100)
    assert max(reduced.pixels.shape) == 100
    assert reduced.pixels.shape[2] == 3
    scale = np.array(reduced.pixels.shape[1::-1]) / whole.pixels.shape[1::-1]
    np.testing.assert_allclose(
        reduced.from_crop(alignment.points), whole.from_crop(alignment.points) * scale, atol=1e-6
    )
    np.testing.assert_allclose(reduced.pixels.mean((0, 1)), whole.pixels.mean((0, 1)), atol=1)
