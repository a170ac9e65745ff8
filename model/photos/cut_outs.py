"""Photos whose alpha cuts out a whole person, as background removers make them."""

import dataclasses

import numpy as np

from lib.face_image.quality import LEAST_INSIDE, MASK_SHARES
from model.fitting.masks import MaskFinder
from model.photos.reader import AlignedPhoto

REMARK = "its alpha shows more than a face, so skin is looked for within it (give a mask as <photo>_mask.png)"


def without_cut_out(photo: AlignedPhoto, find_mask: MaskFinder, coefficients: np.ndarray) -> AlignedPhoto:
    """The photo; if its own alpha shows more than a face, then without a mask, as if it ended where that ends.

    Args:
      photo: the aligned photo.
      find_mask: finds the masks of its crops.
      coefficients: [1, K] of its face.
    """
    if photo.alpha is None or not photo.own_alpha:
        return photo
    shown, silhouette = photo.alpha >= 0.5, find_mask.silhouette(coefficients)
    beyond = (shown & ~silhouette).sum() / max(silhouette.sum(), 1)
    # One that hardly shows the face is another one's mask, which is told later.
    if beyond <= MASK_SHARES[1] - 1 or (shown & silhouette).sum() < LEAST_INSIDE * silhouette.sum():
        return photo
    alignment = dataclasses.replace(photo.alignment, inside=photo.alignment.inside & shown)
    remark = "; ".join(filter(None, (photo.remark, REMARK)))
    return dataclasses.replace(photo, alignment=alignment, alpha=None, own_alpha=False, remark=remark)
