"""Photos with known alignment points."""

import numpy as np
from PIL import Image

TEMPLATE = np.array([[-31, 29, 13], [31, 29, 13], [0, -5, 55], [-25, -38, 22], [25, -38, 22]]) / 100


def photo_and_points(height=300, width=260, scale=70.0, centre=(120.0, 140.0), seed=0):
    """A smooth random photo with the template's points seen from the front, a decimetre being `scale` pixels."""
    grid = np.random.default_rng(seed).integers(0, 256, [9, 8, 3], dtype=np.uint8)
    photo = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return photo, TEMPLATE[:, :2] * (scale, -scale) + centre
