"""The hairline of a whole head as the photo shows it: receding, or with a fringe or a cap over the forehead."""

import numpy as np
import scipy.sparse.csgraph

from lib.face_model.face_model import FaceModel
from lib.mesh_export.texture_fill import edge_laplacian, neighbour_mean, neighbours
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import above_hairline

# Hair and caps reach down to this height [mm] relative to the natural hairline, in front of the middle of the head.
LOWEST, MIDDLE = -46.0, -78.0
# The forehead reaches beyond the face's mesh, down to this height relative to the hairline.
BEYOND = -10.0
# Bare skin above the natural hairline counts up to this height above it; higher up, hair may shine like skin.
HIGHEST = 45.0
# Hair is surely found this far above the natural hairline.
CROWN = 15.0
# Rings of vertices that hair spreads beyond its places surrounded by hair.
WIDE = 2
# Rounds of smoothing over the mesh, and of spreading to what is near the end of hair.
ROUNDS, NEARBY = 3, 10


class Hairline:
    """Decides which vertices of a head carry hair in a photo.

    Args:
      model: a head with the region "scalp".
      count: number of vertices of its face, which come first.

    Attributes:
      usual: [N] in [0, 1], share of hair without a photo.
      reach: [N] bool, vertices that hair or a cap may cover.
      crown: [N] bool, the scalp well above the natural hairline.
      behind: [N] bool, the scalp behind the ears, which carries hair whatever the photo shows there.
    """

    def __init__(self, model: FaceModel, count: int):
        self.usual = model.regions["scalp"]
        places = CanonicalFace(model).points
        height = above_hairline(places)
        front = places[:, 2] > MIDDLE
        # Beyond the face and below the hairline there are the ears.
        free = np.asarray(model.skin_mask, bool) & ((np.arange(len(places)) < count) | (height > BEYOND))
        self.reach = (self.usual > 0) | (free & front & (height > LOWEST))
        self._judged = self.reach & front & (height < HIGHEST)
        self.crown = (self.usual > 0) & (height > CROWN)
        self.behind = (self.usual > 0) & ~front
        self._mirror = model.mirror_index
        laplacian = edge_laplacian(model.triangles, model.vertex_count)
        self._neighbours = neighbours(laplacian)
        self._mean = neighbour_mean(laplacian)

    def __call__(self, seen: np.ndarray, covered: np.ndarray) -> np.ndarray:
        """Share of hair [N] in [0, 1].

        Args:
          seen: [N] in [0, 1], how well the photo shows a vertex.
          covered: [N] in [0, 1], how surely it shows hair or a cap there, where it is seen.
        """
        seen = seen * self._judged
        covered = covered * self._connected((covered > 0.5) & (seen > 0.5))
        # The other side probably looks the same.
        there = seen[self._mirror]
        guessed = self.usual + there * (np.minimum(covered[self._mirror], 1) - self.usual)
        share = np.where(self.reach, guessed + seen * (covered - guessed), 0)
        for _ in range(ROUNDS):
            share = 0.5 * (share + self._mean @ share) * self.reach
        return share

    def alike(self, share: np.ndarray) -> np.ndarray:
        """[N] in [0, 1], 1 where both sides have hair, by its share [N], or both have skin, and 0 near the border."""
        most, least = np.maximum(share, share[self._mirror]), np.minimum(share, share[self._mirror])
        for _ in range(NEARBY):
            most, least = np.maximum(most, self._mean @ most), np.minimum(least, self._mean @ least)
        return np.maximum(1 - np.clip(2 * most, 0, 1), np.clip(2 * least - 1, 0, 1))

    def _connected(self, hairy: np.ndarray) -> np.ndarray:
        """[N] 1 where `hairy` [N] is connected to the usual scalp; darkness elsewhere is shadow.

        Below the natural hairline, what is no wider than two vertices is none of it: rims and arms of glasses.
        """
        surrounded = self._mean @ hairy.astype(np.float32) > 0.99
        core = hairy & ((self.usual > 0.5) | surrounded)
        rows = np.flatnonzero(core)
        pieces = scipy.sparse.csgraph.connected_components(self._neighbours[rows][:, rows], directed=False)[1]
        kept = np.zeros(len(hairy), np.float32)
        kept[rows[np.isin(pieces, pieces[self.usual[rows] > 0.5])]] = 1
        for _ in range(WIDE):
            kept = np.maximum(kept, hairy * (self._neighbours @ kept > 0))
        return kept
