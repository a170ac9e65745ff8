"""The part of a photo kept for textures lies where the crop says, at the photo's resolution and within a bound."""

import numpy as np
import pytest

from lib.face_image.alignment import align
from lib.face_image.region import AROUND, PhotoRegion, face_region
from tests.support.pictures.aligned_photos import TEMPLATE, photo_and_points


def test_every_pixel_of_the_crop_is_found_in_the_region():
    photo, points = photo_and_points(scale=70)
    alignment = align(photo, points, TEMPLATE)
    region = face_region(photo, alignment, photo.shape[:2])
    assert max(region.pixels.shape) <= (1 + 2 * AROUND) * 224 * 70 / 102 + 2  # the photo's own pixels, not the crop's
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
    region = face_region(photo, align(photo, points, TEMPLATE), photo.shape[:2])
    np.testing.assert_allclose(region.from_crop(align(photo, points, TEMPLATE).to_crop(np.zeros(2))), [0, 0], atol=1e-6)
    assert region.pixels.base is None or region.pixels.flags.owndata  # a view would keep a photo of 100 megapixels


@pytest.mark.parametrize("channels", [3, 4])
def test_a_huge_region_is_reduced_and_its_map_with_it(channels):
    photo, points = photo_and_points(height=900, width=780, scale=250.0, centre=(390.0, 450.0))
    photo = np.concatenate([photo, photo[..., :1]], axis=-1)[..., :channels]
    alignment = align(photo, points, TEMPLATE)
    whole, reduced = (face_region(photo, alignment, photo.shape[:2], side) for side in (4096, 100))
    assert max(reduced.pixels.shape) == 100
    assert reduced.pixels.shape[2] == 3
    scale = np.array(reduced.pixels.shape[1::-1]) / whole.pixels.shape[1::-1]
    np.testing.assert_allclose(
        reduced.from_crop(alignment.points), whole.from_crop(alignment.points) * scale, atol=1e-6
    )
    np.testing.assert_allclose(reduced.pixels.mean((0, 1)), whole.pixels.mean((0, 1)), atol=1)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_frame_shows_the_crop_in_its_middle_and_what_is_around_it(scale):
    rows, columns = np.mgrid[: round(60 * scale), : round(50 * scale)] / scale
    pixels = np.stack([4 * columns, 4 * rows, 0 * rows], axis=-1).astype(np.uint8)
    # The crop of 32 px begins at (10, 20) of 50 x 60 of its pixels.
    region = PhotoRegion(pixels, np.array([[scale, 0, 10 * scale], [0, scale, 20 * scale]]))
    image, inside = region.frame(32, 48)
    assert image.shape == (48, 48, 3)
    found = image[20, 30] * 255 / 4
    np.testing.assert_allclose(found[:2], [30 - 8 + 10, 20 - 8 + 20], atol=1.0)
    assert inside[:46, :46].all()  # of columns 2 to 50 and rows 12 to 60 of the crop's pixels
    beyond = region.frame(32, 80)[1]  # columns -14 to 66, rows -4 to 76
    assert not beyond[:, :13].any()
    assert not beyond[:3].any()
    assert not beyond[:, 65:].any()
    assert beyond[5:62, 16:62].all()
