"""Faults of a single RGBA crop that is readable, but shows no face: such crops teach nothing, or something wrong."""

import cv2
import numpy as np

BLACK = 8  # a crop whose skin is nowhere brighter is black (0..255)
FLAT = 2.0  # a crop whose skin varies less has one colour (standard deviation, 0..255)


def crop_fault(crop: np.ndarray) -> str | None:
    """The fault of a crop, uint8 [H, W, 4]; None if it has none."""
    # OpenCV takes a tenth of NumPy's time, and half of packing would be this.
    alpha = cv2.extractChannel(crop, 3)
    least, most, _, _ = cv2.minMaxLoc(alpha)
    if most == 0:
        return "alpha is 0 everywhere: no skin is marked"
    if least == 255:
        return "alpha is 255 everywhere: background and hair count as skin"
    skin = alpha > (127 if most > 127 else 0)
    mean, deviation = cv2.meanStdDev(crop, mask=skin.astype(np.uint8))
    if mean[:3].max() <= BLACK and crop[skin][:, :3].max() <= BLACK:
        return "the skin is black"
    if deviation[:3].max() < FLAT:
        return "the skin has one colour"
    return None
