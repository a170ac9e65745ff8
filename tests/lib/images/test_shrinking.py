"""Parts of shrunk pictures are those of the whole shrunk picture."""

import cv2
import numpy as np
import pytest

from lib.images.shrinking import MARGIN, shrunk_around


def check(image, factors, points):
    """The rectangle around the points is that of the whole shrunk picture; returns the share that was not needed."""
    found = shrunk_around(image, factors, points)
    whole = cv2.resize(image, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_AREA)
    assert found.shape == whole.shape
    places = points * np.array(whole.shape[1::-1]) / image.shape[1::-1]
    low = np.clip(np.floor(places.min(axis=0)).astype(int) - MARGIN, 0, np.array(whole.shape[1::-1]) - 1)
    high = np.maximum(np.ceil(places.max(axis=0)).astype(int) + MARGIN, low + 1)
    rectangle = np.s_[low[1] : high[1], low[0] : high[0]]
    apart = np.abs(found[rectangle].astype(int) - whole[rectangle])
    assert apart.max() <= 1
    assert apart.mean() < 1e-3, "but for sums that another processor rounds otherwise"
    return (found == 0).all(axis=-1).mean()


@pytest.mark.parametrize("seed", range(40))
def test_a_part_is_that_of_the_whole_picture(seed):
    generator = np.random.default_rng(seed)
    height, width = generator.integers(200, 1200, 2)
    image = generator.integers(1, 256, (height, width, 3), np.uint8)
    factors = generator.uniform(0.05, 0.66, 2)
    if seed % 2:  # as of a picture of a given size
        factors = np.rint(factors * (width, height)) / (width, height)
    points = generator.uniform(-20, (width, height)) + generator.uniform(-60, 60, (4, 2))  # also outside of it
    assert check(image, tuple(factors), points) > 0.5


@pytest.mark.parametrize("scale", [2, 3, 12])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_part_of_whole_pixels_is_that_of_the_whole_picture(scale, more):
    """OpenCV rounds these otherwise, and the last ones again otherwise if they are not whole."""
    image = np.random.default_rng(0).integers(1, 256, (600 + more, 900 + more, 3), np.uint8)
    for points in (np.array([[100, 50], [250, 210.0]]), np.array([[800, 500], [905, 605.0]])):
        check(image, (1 / scale, 1 / scale), points)


def test_enlarged_pictures_and_large_parts_are_resized_as_a_whole():
    image = np.random.default_rng(0).integers(1, 256, (90, 120, 3), np.uint8)
    assert check(image, (1.5, 0.5), np.array([[10, 10], [20, 20.0]])) == 0
    assert check(image, (0.5, 0.4), np.array([[0, 0], [120, 90.0]])) == 0
