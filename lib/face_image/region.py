"""The part of a photo around the face at the photo's resolution, from which textures are baked."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.face_image.alignment import Alignment

# Maximum side [px]: as fine as the largest texture, and 50 MB where a photo may take 400 MB.
LONGEST_SIDE = 4096
# What is kept around the aligned crop, on each side, as a share of its side: the crop ends below the crown.
AROUND = 0.3


@dataclass(frozen=True, eq=False)
class PhotoRegion:
    """Pixels of the photo inside the square of the aligned crop and around it.

    Attributes:
      pixels: uint8 [h, w, 3] RGB.
      crop_to_region: [2, 3] affine map between pixel-edge coordinates (x right, y down).
    """

    pixels: np.ndarray
    crop_to_region: np.ndarray

    def from_crop(self, points: np.ndarray) -> np.ndarray:
        """Maps points [..., 2] from the crop to the region."""
        return points @ self.crop_to_region[:, :2].T + self.crop_to_region[:, 2]

    def frame(self, crop_size: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels at the crop's scale in a square about the crop's middle.

        Args:
          crop_size, size: sides of the crop and of the square.

        Returns:
          float32 RGB [size, size, 3] in [0, 1], and bool [size, size], pixels that the photo covers.
        """
        scale = 1 / self.crop_to_region[[0, 1], [0, 1]]
        reduced = np.maximum(np.rint(np.array(self.pixels.shape[1::-1]) * np.minimum(scale, 1)).astype(int), 1)
        small = cv2.resize(self.pixels, reduced.tolist(), interpolation=cv2.INTER_AREA)
        to_small = np.diag(reduced / self.pixels.shape[1::-1]) @ self.crop_to_region
        # OpenCV's pixel centres are at integers.
        to_small[:, 2] += to_small[:, :2] @ np.full(2, 0.5 - (size - crop_size) / 2) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = cv2.warpAffine(small, to_small, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        whole = np.full(small.shape[:2], 255, np.uint8)
        inside = cv2.warpAffine(whole, to_small, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return image.astype(np.float32) / 255, inside == 255


def face_region(
    photo: np.ndarray, alignment: Alignment, photo_size: tuple[int, int], longest_side: int = LONGEST_SIDE
) -> PhotoRegion:
    """Cuts the square of the aligned crop, and what is around it, out of the photo.

    Args:
      photo: uint8 [H, W, 3 or 4].
      alignment: of this photo; the crop must overlap the photo.
      photo_size: (height, width) of the photo whose pixels `alignment` refers to, where `photo` is a reduced one.
      longest_side: maximum side; larger regions are reduced by averaging pixels.
    """
    height, width = photo.shape[:2]
    alignment = alignment.in_larger(np.array([width, height]) / photo_size[::-1])
    size = alignment.crop.shape[0]
    corners = alignment.to_photo(np.array([[-AROUND * size] * 2, [(1 + AROUND) * size] * 2]))
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
