"""The shape of long hair: a curtain around the sides and the back of a whole head, instead of its ears and neck.

Lengths, heights and azimuths are those of model/whole_head/hair/hanging_hair.py.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.ndimage
import scipy.sparse.linalg
import scipy.spatial

from lib.face_model.face_model import FaceModel
from lib.geometry.smoothstep import smoothstep
from lib.mesh_export.texture_fill import edge_laplacian
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import lock_factors
from model.morphable_model import PosedFace
from model.whole_head.hair.hanging_hair import (
    AXIS,
    BASE,
    EAR_HIGH,
    EAR_LOW,
    HEIGHTS,
    HairOdds,
    HairSide,
    Look,
    find_sides,
    heights,
)

# Azimuths between which the curtain begins: beside ears that it covers, on the neck, and behind ears that are seen.
OVER_EARS, BESIDE_NECK, BEHIND_EARS = (np.radians(pair) for pair in ((72.0, 98.0), (72.0, 96.0), (104.0, 124.0)))
# Height of the jaw's angle, and length over which the curtain is that of the neck below it.
JAW, TO_NECK = -48.0, 40.0
# Hair begins this much before the curtain, above the jaw and on the neck, and overlaps the face by this length.
EARLIER, OVERLAP = np.radians([32.0, 9.0]), 14.0
# Heights between which the curtain leaves the skull, and between which the skull tells its width.
LEAVES, WIDEST = (66.0, 36.0), (21.0, 80.0)
# Its lower end returns to the neck over this length; all of it is hair down to this share of the way.
HEM, HEM_SHARE = 8.0, 0.12
# Width at the base behind the head, and limits of the width, relative to that of the skull with its hair.
NAPE, NARROWEST, BROADEST = 0.9, 0.75, 1.6
# The ears: farther to the side, and farther in front, than this, and this much beyond their heights.
EAR_SIDE, EAR_BACK, EAR_MARGIN = 58.0, -118.0, 8.0
# Azimuths over which the skull's width is taken and smoothed; median and blur of the hair's over rows.
SECTOR, MEDIAN, BLUR = np.radians(6.0), 7, 2.5
# The hair's width differs from the skull's by half this far above where it is first found.
EASE = 17.0
# Variation of the width in locks of this size [mm].
LOCKS, LOCK_SIZE = 0.03, (22.0, 90.0)


@dataclass(frozen=True, eq=False)
class Curtain:
    """Long hair of one head.

    Attributes:
      lift: [N, 3] float32 displacement of the head's vertices before the pose, decimetres.
      share: [N] float32 in [0, 1], share of long hair at each vertex.
      shown: bool [S, S], pixels of the wide view whose colours are those of hair.
    """

    lift: np.ndarray
    share: np.ndarray
    shown: np.ndarray


class CurtainShape:
    """Displaces ears, neck and the lower back of a head to the outline of long hair.

    Args:
      model: a whole head.
      count: number of vertices of its face, which come first and stay where they are.
    """

    def __init__(self, model: FaceModel, count: int):
        canonical = CanonicalFace(model)
        self._places, self._placement = canonical.points, canonical.placement
        places = self._places
        self._laplacian = edge_laplacian(model.triangles, model.vertex_count)
        face = np.arange(len(places)) < count
        hollow = np.max([model.regions[name] for name in ("eye", "teeth", "mouth_inside")], axis=0) > 0
        beyond = ~face & ~hollow
        # The first row beyond the face stays, too: triangles between it and the next are all hair.
        self._free = beyond & ~(abs(self._laplacian) @ face > 0)
        apart = scipy.spatial.cKDTree(places[beyond]).query(places)[0]
        self._near = np.clip(1 - apart / OVERLAP, 0, 1) * ~hollow
        x, y, z = places.T
        self._ear = beyond & (np.abs(x) > EAR_SIDE) & (z > EAR_BACK)
        self._ear &= (y > EAR_LOW - EAR_MARGIN) & (y < EAR_HIGH + EAR_MARGIN)
        ear = self._ear[model.triangles].all(axis=1)
        self._ears = tuple(ear & (sign * x[model.triangles[:, 0]] > 0) for sign in (-1, 1))
        plain = face & np.asarray(model.skin_mask, bool) & (model.regions["brow"] == 0)
        self._plain = plain[model.triangles].all(axis=1)
        self._scalp = model.regions["scalp"][model.triangles].mean(axis=1) > 0.5
        self._locks = lock_factors(places, LOCKS, LOCK_SIZE, seed=3)

    def __call__(self, face: PosedFace, lift: np.ndarray, looks: Iterable[Look]) -> Curtain | None:
        """The long hair in a photo; None if the photo shows none.

        Args:
          face: the bare head, a batch of one.
          lift: [N, 3] what the hair's volume adds to its shape, decimetres.
          looks: at the photo around it; the first that finds long hair counts.
        """
        for look in looks:
            height = heights(face, look.view, self._placement)
            odds = HairOdds.of(look, self._scalp, self._plain, height)
            if odds is None:
                continue
            sides = find_sides(face, look, odds, self._placement, self._ears)
            if sides is not None:
                places = self._placement.to_canonical(face.shape[0].numpy() + lift)
                hanging, share = self._hanging(places, sides)
                more = (hanging - places) / self._placement.scale
                return Curtain(more.astype(np.float32), share.astype(np.float32), odds.any > 0)
        return None

    def usual(self) -> np.ndarray:
        """Canonical places [N, 3] of the mean head with hair down to the neck's base, as wide as the skull."""
        skull = self._skull(self._places)
        sides = [
            HairSide(x, BASE, np.full(len(HEIGHTS), skull(np.array(x))), True, 0.0) for x in (-np.pi / 2, np.pi / 2)
        ]
        return self._hanging(self._places, (sides[0], sides[1]))[0]

    def _hanging(self, places: np.ndarray, sides: tuple[HairSide, HairSide]) -> tuple[np.ndarray, np.ndarray]:
        """Places [N, 3] of a head with long hair for those without, and the share [N] of hair."""
        skull = self._skull(places)
        places = self._without_ears(places, [side.over_ear for side in sides])
        radius, azimuth = _polar(places)
        right = smoothstep(0.5 + 0.7 * np.sin(azimuth))

        def between(values: list) -> np.ndarray:
            return values[0] + right * (values[1] - values[0])

        height, end = places[:, 1], min(side.end for side in sides)
        low = smoothstep((JAW - height) / TO_NECK)
        covering = OVER_EARS + low[:, None] * (BESIDE_NECK - OVER_EARS)
        begins = [covering if side.over_ear else np.broadcast_to(BEHIND_EARS, covering.shape) for side in sides]
        begin, full = (between([both[:, i] for both in begins]) for i in range(2))
        top = smoothstep((LEAVES[0] - height) / (LEAVES[0] - LEAVES[1]))
        hem = np.where(end < BASE + HEM, 1, smoothstep((height - end) / HEM))
        weight = self._free * smoothstep((np.abs(azimuth) - begin) / (full - begin)) * top * hem
        width = between([np.interp(-height, -HEIGHTS, _relative(side, skull)) for side in sides])
        behind = np.clip((LEAVES[1] - height) / (LEAVES[1] - BASE), 0, 1) * np.clip(-np.cos(azimuth), 0, 1)
        hanging = skull(azimuth) * width * (1 - (1 - NAPE) * behind) * self._locks
        outwards = np.stack([np.sin(azimuth), np.zeros_like(azimuth), np.cos(azimuth)], axis=1)
        earlier = EARLIER[0] + low * (EARLIER[1] - EARLIER[0])
        share = self._near * smoothstep((np.abs(azimuth) - begin) / earlier + 1)
        share *= (top > 0) * np.clip(hem / HEM_SHARE, 0, 1)
        return places + (weight * np.maximum(hanging - radius, 0))[:, None] * outwards, share

    def _skull(self, places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Function of azimuths: the radius of the head at its widest, with its hair and without its ears."""
        radius, azimuth = _polar(places)
        used = (places[:, 1] > WIDEST[0]) & (places[:, 1] < WIDEST[1]) & ~self._ear
        sectors = round(2 * np.pi / SECTOR)
        sector = np.floor(azimuth[used] / SECTOR).astype(int) % sectors
        widest = np.zeros(sectors)
        np.maximum.at(widest, sector, radius[used])
        middles = (np.arange(sectors) + 0.5) * SECTOR
        # A coarse mesh has sectors without vertices.
        found = widest > 0
        widest = np.interp(middles, middles[found], widest[found], period=2 * np.pi)
        widest = scipy.ndimage.gaussian_filter1d(widest, 1.0, mode="wrap")
        return lambda angle: np.interp(angle, middles, widest, period=2 * np.pi)

    def _without_ears(self, places: np.ndarray, covered: list[bool]) -> np.ndarray:
        """Places [N, 3] with the ears that hair covers, at negative and at positive x, flat."""
        flat = places.copy()
        flat[self._ear] = self._solve_ears(-self._laplacian[self._ear][:, ~self._ear] @ places[~self._ear])
        return np.where(np.where(places[:, :1] < 0, *covered), flat, places)

    @cached_property
    def _solve_ears(self) -> Callable[[np.ndarray], np.ndarray]:
        """Solver of Laplace's equation on the ears."""
        return scipy.sparse.linalg.splu(self._laplacian[self._ear][:, self._ear].tocsc()).solve


def _relative(side: HairSide, skull: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """[len(HEIGHTS)] radius of the hair relative to the skull's: from 1 at the top down to the last one found."""
    known = ~np.isnan(side.radius)
    below = known & (HEIGHTS < EAR_LOW)
    known = below if below.any() else known  # the ears stand out
    found = side.radius[known] / skull(np.array(side.azimuth))
    top = [EAR_HIGH, HEIGHTS[known][0] + EASE]
    values = np.interp(-HEIGHTS, -np.append(top, HEIGHTS[known]), np.append([1.0, (1 + found[0]) / 2], found))
    values = scipy.ndimage.median_filter(values, MEDIAN, mode="nearest")
    return np.clip(scipy.ndimage.gaussian_filter1d(values, BLUR, mode="nearest"), NARROWEST, BROADEST)


def _polar(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [N] from the axis and azimuth [N] of places [N, 3]."""
    x, z = places[:, 0], places[:, 2] - AXIS
    return np.hypot(x, z), np.arctan2(x, z)
