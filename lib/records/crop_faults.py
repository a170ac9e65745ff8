"""Faults of a single RGBA crop that is readable, but shows no face: such crops teach nothing, or something wrong."""

import numpy as np

BLACK = 8  # a crop whose skin is nowhere brighter is black (0..255)
FLAT = 2.0  # a crop whose skin varies less has one colour (standard deviation, 0..255)


def crop_fault(crop: np.ndarray) -> str | None:
    """The fault of a crop, uint8 [H, W, 4]; None if it has none."""
    alpha = crop[..., 3]
    if not alpha.any():
        return "alpha is 0 everywhere: no skin is marked"
    if alpha.min() == 255:
        return "alpha is 255 everywhere: background and hair count as skin"
    skin = crop[alpha > 127][:, :3] if (alpha > 127).any() else crop[alpha > 0][:, :3]
    if skin.max() <= BLACK:
        return "the skin is black"
    if skin.std(axis=0).max() < FLAT:
        return "the skin has one colour"
    return None
