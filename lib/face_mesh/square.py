"""A rotated square in an image: what a network of the face mesh looks at."""

import dataclasses

import cv2
import numpy as np

from lib.images.shrinking import shrunk_around

# Of the unit square.
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@dataclasses.dataclass(frozen=True)
class Square:
    """A rotated square in an image: centre [2] and side in pixels, angle of its upper edge in radians (clockwise)."""

    centre: np.ndarray
    side: float
    angle: float

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Maps points [..., 2] from the unit square to pixels of the image."""
        return self.centre + self.side * (points - 0.5) @ self._turn

    def from_image(self, points: np.ndarray) -> np.ndarray:
        """Maps pixels [..., 2] of the image to the unit square."""
        return (points - self.centre) @ self._turn.T / self.side + 0.5

    def cut(self, image: np.ndarray, size: int) -> np.ndarray:
        """Cuts the square out of an image [H, W, 3] as uint8 [size, size, 3]; repeats the border outside the image."""
        reduction = self.side / size
        ratio = np.ones(2)
        if reduction > 1.5:  # linear interpolation would skip pixels
            full = np.array(image.shape[1::-1])
            ratio = np.maximum(np.rint(full / reduction), 1) / full
            image = shrunk_around(image, ratio, self.to_image(CORNERS))
        # OpenCV's coordinates have their origin at a pixel centre.
        linear = ratio[:, None] * (self.side / size) * self._turn.T
        shift = ratio * self.to_image(np.full(2, 0.5 / size)) - 0.5
        transform = np.column_stack([linear, shift])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, transform, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    @property
    def _turn(self) -> np.ndarray:
        """Rotation matrix [2, 2] for row vectors."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])


def direction_angle(direction: np.ndarray) -> float:
    """Angle of a direction [2] in an image, radians, clockwise from the x axis."""
    return float(np.arctan2(direction[1], direction[0]))
