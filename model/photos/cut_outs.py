"""Photos whose alpha cuts out a whole person, as background removers make them."""

import dataclasses

import numpy as np

from lib.face_image.quality import LEAST_INSIDE, MASK_SHARES
from model.fitting.masks import MaskFinder
from model.photos.reader import AlignedPhoto

REMARK = "has an alpha that shows more than a face; skin was looked for within it"


def without_cut_out(photo: AlignedPhoto, find_mask: MaskFinder, coefficients: np.ndarray) -> AlignedPhoto:
    """The photo; if its own alpha shows more than a face, then without a mask, which is then looked for within it.

    Args:
      photo: the aligned photo.
      find_mask: finds the masks of its crops.
      coefficients: [1, K] of its face.
    """
    if photo.alpha is None or not photo.own_alpha:
        return photo
    shown, silhouette = photo.alpha >= 0.5, find_mask.silhouette(coefficients)
    # One that hardly shows the face is another one's mask, which is told later.
    if shown.sum() <= MASK_SHARES[1] * silhouette.sum() or (shown & silhouette).sum() < LEAST_INSIDE * silhouette.sum():
        return photo
    alignment = dataclasses.replace(photo.alignment, inside=photo.alignment.inside & shown)
    remark = "; ".join(filter(None, (photo.remark, REMARK)))
    # The person's border is an outline of the face; that of the photo is none.
    bounded = dataclasses.replace(photo, alignment=alignment, photo_inside=photo.covered)
    return dataclasses.replace(bounded, alpha=None, own_alpha=False, remark=remark)
