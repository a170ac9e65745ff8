"""Faults of a single RGBA crop that is readable, but shows no face: such crops teach nothing, or something wrong."""

import cv2
import numpy as np

SKIN = 128  # smallest alpha of skin; a mask without any would train nothing
BLACK = 8  # a crop whose skin is nowhere brighter is black (0..255)
FLAT = 2.0  # a crop whose skin varies less has one colour (standard deviation, 0..255)


def alpha_fault(crop: np.ndarray) -> str | None:
    """The reason why the alpha of a crop, uint8 [H, W, 4], marks no skin; None if it does."""
    most = crop[..., 3].max()
    if not most:
        return "alpha must mark some skin, got 0 everywhere"
    if most < SKIN:
        hint = " (a mask of 0 and 1? multiply it by 255)" if most == 1 else ""
        return f"alpha must be 255 on skin, got at most {most}{hint}"
    return None


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
