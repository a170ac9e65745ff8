"""Squares of large pictures are cut out without shrinking the whole picture."""

import cv2
import numpy as np
import pytest

from lib.face_mesh.square import Square
from lib.images import shrinking


def of_the_whole(square, image, size):
    """The square, cut out of the shrunk picture."""
    reduction = square.side / size
    full = np.array(image.shape[1::-1])
    small = np.rint(full / reduction).astype(int)
    shrunk = cv2.resize(image, small.tolist(), interpolation=cv2.INTER_AREA)
    corners = np.array([[0.5, 0.5], [size - 0.5, 0.5], [0.5, size - 0.5]]) / size
    seen = square.to_image(corners) * small / full - 0.5
    transform = cv2.getAffineTransform(np.float32([[0, 0], [size - 1, 0], [0, size - 1]]), seen.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(shrunk, transform, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
@pytest.mark.parametrize("centre", [(700.0, 500.0), (40.0, 880.0), (1390.0, 20.0)])
def test_a_square_is_that_of_the_whole_picture(monkeypatch, centre, angle):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (900, 1400, 3), np.uint8), (0, 0), 2)
    square = Square(np.array(centre), 230.0, angle)
    expected = of_the_whole(square, image, 64)
    monkeypatch.setattr(shrinking.cv2, "resize", None)  # as slow as the picture is large
    assert np.abs(square.cut(image, 64).astype(int) - expected).max() <= 1
