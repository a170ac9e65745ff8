"""Tells bald heads from hair in the colours of skin, and from hair that the photo does not show."""

import numpy as np

from lib.face_model.face_model import FaceModel
from model.whole_head.scalp.colours import log_ratio
from model.whole_head.scalp.grain import smoother
from model.whole_head.scalp_mesh import SeenScalp, enough
from model.whole_head.wide_view import WideView

# The crown of a bald head is as bright as skin and has its hue (mean and spread over the channels of the log of the
# ratio of colours, without light), and its detail has at most so many times the contrast of the skin's.
BRIGHTNESS, HUE, ROUGHNESS = 0.18, 0.045, 1.6
# Of somebody who looks up, a photo shows hardly any scalp. Hair would still cover that of the bare head's: without
# hair, more than this share of it lies outside the person, at these log odds. (Bald: 0.7; with hair: up to 0.3.)
OUTSIDE, SURELY_OUTSIDE = 0.5, -1.0


class Baldness:
    """Decides whether a photo shows a head without hair.

    Args:
      model: a head.
      scalp: bool [F], triangles above the natural hairline.
      crown: bool [N], the scalp well above it.
      plain: bool [F], triangles of skin without brows.
    """

    def __init__(self, model: FaceModel, scalp: np.ndarray, crown: np.ndarray, plain: np.ndarray):
        self._scalp, self._crown, self._plain = scalp, crown, plain
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
        if not weight.any():
            return False
        ratio = log_ratio(seen.colour, skin[rows])
        brightness, hue = np.average(ratio.mean(axis=1), weights=weight), np.average(ratio.std(axis=1), weights=weight)
        if not (abs(brightness) < BRIGHTNESS and hue < HUE):
            return False
        return smoother(seen, self._top, self._plain, inside, ROUGHNESS)

    def outside(self, view: WideView) -> bool:
        """Whether the scalp of the bare head mostly lies outside the person that the photo shows."""
        scalp = view.shown(self._scalp) & view.inside
        if not enough(scalp):
            return False
        return bool((view.person[scalp] <= SURELY_OUTSIDE).mean() > OUTSIDE)
