"""Tells bald heads from hair in the colours of skin."""

import numpy as np

from lib.face_model.face_model import FaceModel
from model.whole_head.scalp.colours import log_brightness, log_ratio
from model.whole_head.scalp.grain import contrast
from model.whole_head.scalp_mesh import SeenScalp, reference_scale, well_inside

# The photo must show the crown and plain skin, away from their outlines, with this many pixels each of the wide picture
# around a crop of REFERENCE_SIZE, and with so many of its own, which the contrast is told from.
LEAST_PIXELS, FEWEST = 200, 20
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
        crown = well_inside((seen.ids >= 0) & self._top[seen.ids] & inside)
        plain = well_inside((seen.ids >= 0) & self._plain[seen.ids] & (seen.skin > 0.5))
        least = max(LEAST_PIXELS * reference_scale(len(seen.image)) ** 2, FEWEST)
        if not weight.any() or min(crown.sum(), plain.sum()) < least:
            return False
        ratio = log_ratio(seen.colour, skin[rows])
        brightness, hue = np.average(ratio.mean(axis=1), weights=weight), np.average(ratio.std(axis=1), weights=weight)
        detail = log_brightness(seen.image)
        smooth = contrast(detail, crown) < ROUGHNESS * contrast(detail, plain)
        return bool(abs(brightness) < BRIGHTNESS and hue < HUE and smooth)
