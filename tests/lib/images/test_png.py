"""PNG files keep every pixel."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image

from lib.images.png import png_bytes


@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_come_back_and_compress_no_worse_than_with_pillow(channels):
    photo = skimage.data.astronaut()[:200, 100:350]
    pixels = np.dstack([photo, photo[..., 0]])[..., :channels]
    data = png_bytes(pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"[:channels]
        np.testing.assert_array_equal(np.asarray(image), pixels)
    usual = io.BytesIO()
    Image.fromarray(pixels).save(usual, "PNG")
    assert len(data) < 1.1 * len(usual.getvalue())
