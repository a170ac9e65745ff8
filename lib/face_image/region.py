"""The part of a photo around the face at the photo's resolution, from which textures are baked."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.face_image.alignment import Alignment

# Maximum side [px]: as fine as the largest texture, and 50 MB where a photo may take 400 MB.
LONGEST_SIDE = 4096


@dataclass(frozen=True, eq=False)
class PhotoRegion:
    """Pixels of the photo inside the square of the aligned crop.

    Attributes:
      pixels: uint8 [h, w, 3] RGB.
      crop_to_region: [2, 3] affine map between pixel-edge coordinates (x right, y down).
    """

    pixels: np.ndarray
    crop_to_region: np.ndarray

    def from_crop(self, points: np.ndarray) -> np.ndarray:
        """Maps points [..., 2] from the crop to the region."""
        return points @ self.crop_to_region[:, :2].T + self.crop_to_region[:, 2]


def face_region(photo: np.ndarray, alignment: Alignment, longest_side: int = LONGEST_SIDE) -> PhotoRegion:
    """Cuts the square of the aligned crop out of the photo.

    Args:
      photo: uint8 [H, W, 3 or 4].
      alignment: of this photo; the crop must overlap the photo.
      longest_side: maximum side; larger regions are reduced by averaging pixels.
    """
    height, width = photo.shape[:2]
    size = alignment.crop.shape[0]
    corners = alignment.to_photo(np.array([[0.0, 0.0], [size, size]]))
    left, top = np.clip(np.floor(corners[0]).astype(int), 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(corners[1]).astype(int), [left + 1, top + 1], [width, height])
    pixels = photo[top:bottom, left:right, :3].copy()  # a view would keep the whole photo in memory
    full = np.array([pixels.shape[1], pixels.shape[0]])
    kept = full
    if full.max() > longest_side:
        kept = np.maximum(np.rint(full * (longest_side / full.max())).astype(int), 1)
        pixels = cv2.resize(pixels, kept.tolist(), interpolation=cv2.INTER_AREA)
    scale = np.diag(kept / full)
    crop_to_photo = np.linalg.inv(alignment.photo_to_crop[:, :2])
    offset = -crop_to_photo @ alignment.photo_to_crop[:, 2] - [left, top]
    return PhotoRegion(pixels, np.column_stack([scale @ crop_to_photo, scale @ offset]))
