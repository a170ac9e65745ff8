"""Tells bald heads from hair in the colours of skin."""

import cv2
import numpy as np

from lib.face_model.face_model import FaceModel
from model.whole_head.scalp.colours import log_brightness, log_ratio
from model.whole_head.scalp.grain import contrast
from model.whole_head.scalp_mesh import SeenScalp

# The photo must show the crown and plain skin with this many pixels each, apart from those so near to their outlines.
LEAST_PIXELS, MARGIN = 200, 2
# The crown of a bald head is as bright as skin and has its hue (mean and spread over the channels of the log of the
# ratio of colours, without light), and its detail has at most so many times the contrast of the skin's.
BRIGHTNESS, HUE, ROUGHNESS = 0.18, 0.045, 1.6


class Baldness:
    """Decides whether a photo shows a head without hair.

    Args:
      model: a head.
      crown: bool [N], the scalp well above the natural hairline.
      plain: bool [F], triangles of skin without brows.
    """

    def __init__(self, model: FaceModel, crown: np.ndarray, plain: np.ndarray):
        self._crown, self._plain = crown, plain
        self._top = crown[model.triangles].all(axis=1)

    def __call__(
        self, seen: SeenScalp, weight: np.ndarray, skin: np.ndarray, rows: np.ndarray, inside: np.ndarray
    ) -> bool:
        """Whether the crown that the photo shows is bare.

        Args:
          seen: the scalp in the photo.
          weight: [M] in [0, 1], how well the photo shows a vertex.
          skin: [N, 3] albedo of the bare head.
          rows: [M] numbers of the vertices of `seen`.
          inside: bool [S, S], pixels that the photo covers.
        """
        weight = weight * self._crown[rows]
        crown = _inner((seen.ids >= 0) & self._top[seen.ids] & inside)
        plain = _inner((seen.ids >= 0) & self._plain[seen.ids] & (seen.skin > 0.5))
        if not weight.any() or min(crown.sum(), plain.sum()) < LEAST_PIXELS:
            return False
        ratio = log_ratio(seen.colour, skin[rows])
        brightness, hue = np.average(ratio.mean(axis=1), weights=weight), np.average(ratio.std(axis=1), weights=weight)
        detail = log_brightness(seen.image)
        smooth = contrast(detail, crown) < ROUGHNESS * contrast(detail, plain)
        return bool(abs(brightness) < BRIGHTNESS and hue < HUE and smooth)


def _inner(part: np.ndarray) -> np.ndarray:
    """Bool [S, S], pixels of a part [S, S] that are not at its outline."""
    side = 2 * MARGIN + 1
    return cv2.erode(part.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
