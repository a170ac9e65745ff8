"""Holes and edges of a rendering; holes are gaps between lips and teeth, where one looks into a mouth without back."""

import numpy as np
import scipy.ndimage

# Standard deviation [px] of the blur that smooths steps along edges.
FEATHER = 0.8
# Depth of a hole [share of the picture's side] at which it is black.
DARK = 8 / 224


def holes(mask: np.ndarray) -> np.ndarray:
    """Bool [H, W]: the parts below 0.5 of a mask [H, W, 1] in [0, 1] that it encloses on all sides."""
    inside = mask[..., 0] >= 0.5
    return scipy.ndimage.binary_fill_holes(inside) & ~inside


def without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask [H, W, 1] in [0, 1] with 1 in its `holes`."""
    return np.where(holes(mask)[..., None], np.ones_like(mask), mask)


def with_filled_holes(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A rendering [H, W, C] with the colours around its holes continued into them, darker towards their middle.

    Args:
      picture: values in [0, 1].
      mask: [H, W, 1] in [0, 1], what the rendering covers.
    """
    missing = holes(mask)
    if not missing.any():
        return picture
    distance, nearest = scipy.ndimage.distance_transform_edt(mask[..., 0] < 0.5, return_indices=True)
    light = np.clip(1 - (distance - 1) / (DARK * len(picture)), 0, 1)[..., None]
    continued = scipy.ndimage.gaussian_filter(picture[tuple(nearest)], (1, 1, 0)) * light
    return np.where(missing[..., None], continued.astype(picture.dtype), picture)


def feathered(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A rendering with smooth edges instead of pixels' steps, for pages.

    Args:
      picture: uint8 [H, W, 3].
      mask: [H, W, 1] in [0, 1], what the rendering covers.

    Returns:
      uint8 [H, W, 4] RGBA; outside the mask the nearest colour continues, so that no background shines through.
    """
    nearest = scipy.ndimage.distance_transform_edt(mask[..., 0] < 0.5, return_distances=False, return_indices=True)
    alpha = scipy.ndimage.gaussian_filter(mask, (FEATHER, FEATHER, 0), mode="nearest")
    return np.concatenate([picture[tuple(nearest)], np.rint(alpha * 255).astype(np.uint8)], axis=-1)
