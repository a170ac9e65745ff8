"""Heads that are bald on top, with a ring of hair around it, as far as there is one."""

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import below_bare_top
from model.whole_head.scalp.colours import log_ratio, unlike_skin
from model.whole_head.scalp.grain import smoother
from model.whole_head.scalp.headwear import no_hue_of_hair
from model.whole_head.scalp_mesh import SeenScalp

# The crown is bare if at least this share of what the photo shows of it has the colours of skin, the mean of those has
# its hue (spread over the channels of the log of the ratio; bare tops: 0.03 and 0.06, beige cloth: from 0.08), and they
# are smoother (contrast of detail, relative to that of the face's skin; bare tops: 0.5, white or light hair: from 1).
LIKE_SKIN, HUE, SMOOTH = 0.4, 0.067, 0.8
# How well a photo must show a vertex.
SEEN = 0.3
# Hair grows around the top if the photo shows this share of its place, and enough of that does not look like skin.
# (Shaved heads: up to 0.1.)
LEAST_SEEN, GROWS = 0.01, 0.3
# Width of the upper border of the ring, millimetres.
BORDER = 14.0


class BareTop:
    """Decides whether a photo shows a bare crown, and what hair is left then.

    Args:
      model: a head.
      usual: [N] in [0, 1], share of hair without a photo.
      crown: bool [N], the scalp well above the natural hairline.
      plain: bool [F], triangles of skin without brows.
    """

    def __init__(self, model: FaceModel, usual: np.ndarray, crown: np.ndarray, plain: np.ndarray):
        self._triangles, self._crown, self._plain = model.triangles, crown, plain
        below = np.clip(0.5 + below_bare_top(CanonicalFace(model).points) / BORDER, 0, 1)
        self._ring = (usual * below).astype(np.float32)

    def __call__(
        self, seen: SeenScalp, weight: np.ndarray, skin: np.ndarray, rows: np.ndarray, inside: np.ndarray
    ) -> bool:
        """Whether most of the crown that the photo shows is smooth skin; arguments as in `Baldness.__call__`."""
        covered = unlike_skin(seen.colour, skin[rows])
        judged = self._crown[rows] & (weight > SEEN)
        if not judged.any() or (covered[judged] == 0).mean() <= LIKE_SKIN:
            return False
        bare = np.zeros(len(skin), bool)
        bare[rows] = judged & (covered == 0)
        if log_ratio(seen.colour, skin[rows])[bare[rows]].mean(axis=0).std() > HUE:
            return False
        return smoother(seen, bare[self._triangles].all(axis=1), self._plain, inside, SMOOTH)

    def ring(self, seen: SeenScalp, weight: np.ndarray, skin: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Share of hair [N] in [0, 1] around a bare top: 0 everywhere if the photo shows no hair there.

        Args:
          seen: the bare head's scalp in the photo.
          weight, skin, rows: as in `Baldness.__call__`.
        """
        share, covered = self._ring.copy(), unlike_skin(seen.colour, skin[rows]) * ~no_hue_of_hair(seen.colour)
        known = weight * np.clip(2 * share[rows] - 1, 0, 1)  # its border may be elsewhere
        if known.sum() < LEAST_SEEN * share.sum() or np.average(covered, weights=known) < GROWS:
            return np.zeros_like(share)
        share[rows] *= 1 + weight * (covered - 1)
        return share
