"""Long hair in a photo: its outline on both sides of the head, from the ears down.

Lengths and heights are canonical millimetres (lib/synthetic/appearance/canonical.py); azimuths are about the head's
vertical axis, 0 in front and positive towards positive x.
"""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from lib.geometry.rotation import rotation_matrix
from lib.images.colour_ratio import BOUND, ColourRatio, density, without
from lib.synthetic.appearance.canonical import Placement
from model.morphable_model import PosedFace
from model.whole_head.hair.wall import enough, hair_pixels
from model.whole_head.wide_view import WideView

# Depth of the axis.
AXIS = -95.0
# Hair is looked for in rows this far apart, from the ears' upper end to the base of the neck.
ROW, EAR_HIGH, EAR_LOW, CHIN, BASE = 3.0, 45.0, -25.0, -60.0, -132.0
HEIGHTS = np.arange(EAR_HIGH, BASE - ROW, -ROW)
# Hair is followed downwards from here.
START = 28.0
# It is long if it hangs down to this height.
LONG = -47.0
# Hair that covers the ears may end at these heights: in its own colours, in those of skin, and if the photo shows one
# side only.
OVER_BOTH_EARS, MIDDLE_OF_EARS, TO_LOBE = 13.0, 0.0, -28.0
# In a row, it is looked for from this far inside the outline of the bare head up to this far outside.
INWARDS, FARTHEST = 10, 60
# It begins this near to the outline, below the chin this near, and ends this far outside at least.
NEAR, APART, STANDS_OUT = 6, 40, 4
# The log of its odds, less this for each millimetre, must sum up to this, and have this mean: also that to skin alone.
THRIFT, LEAST_SUM, LEAST_MEAN = 0.15, 4.0, 0.6
# The mean of the odds must exceed that over so many millimetres beyond it by this.
BEYOND, LEAST_CONTRAST = 8, 1.2
# Otherwise, it may lie flat on the ear: then the odds have this mean so far inwards from the outline.
EAR_RIM, FLAT_ON_EAR = 12, 0.7
# Gaps up to this long are bridged. An outline that jumps farther than this from row to row is that of something else.
GAP, JUMP = 12.0, 9.0
# Hair hides an ear if this share of its pixels looks like hair.
HIDDEN = 0.58
# Least mean of the log of the odds of hair to skin over the scalp: bald heads have less.
DISTINCT = 0.8
# Silhouettes nearer to the front than this azimuth are those of the cheek.
CHEEK = np.radians(74.0)
# Below this height, the photo shows clothes and hair. If it shows one side only and there the ear, hair hangs down to
# here: what ends higher is mostly the nape of a turned head, or tied hair.
SHOULDERS = -90.0
# Hair in the colours of skin stands out so far beside the jaw, between these heights; ears and beards less.
BROAD, JAW_HIGH, JAW_LOW = 36.0, -36.0, -54.0
# The odds are blurred by this much, and the rows are this long.
BLUR, REACH = 1.5, 170


@dataclass(frozen=True)
class HairSide:
    """The outline of long hair on one side of the head.

    Attributes:
      azimuth: of the silhouette.
      end: height of the hair's lower end.
      radius: [len(HEIGHTS)] distance of the outline from the axis; NaN where it was not found.
      over_ear: whether the hair hides the ear.
      breadth: how far the outline stands out beside the jaw; 0 if it was not found there.
    """

    azimuth: float
    end: float
    radius: np.ndarray
    over_ear: bool
    breadth: float

    def mirrored(self) -> "HairSide":
        """The same hair on the other side."""
        return dataclasses.replace(self, azimuth=-self.azimuth)


@dataclass(frozen=True, eq=False)
class Look:
    """A way to look for long hair in a photo.

    Attributes:
      view: the photo around a bare head.
      wall: [S, S] log of the odds of hair to what is behind the head.
      by_outline: whether all that the person has beside the head, from ears to chin, is hair, even if it looks like
        skin.
    """

    view: WideView
    wall: np.ndarray
    by_outline: bool = False


@dataclass(frozen=True, eq=False)
class HairOdds:
    """Log of the odds of hair, [S, S] each, within -2 and 2.

    Attributes:
      any: to whatever it may be mistaken for.
      skin: to skin.
    """

    any: np.ndarray
    skin: np.ndarray

    @classmethod
    def of(cls, look: Look, scalp: np.ndarray, skin: np.ndarray, height: np.ndarray) -> "HairOdds | None":
        """The odds in a photo; None if it does not show both hair and skin in their own colours.

        Args:
          look: at the photo.
          scalp, skin: bool [F], triangles of the scalp and of plain skin.
          height: [S, S] along the head's axis.
        """
        view = look.view
        scale = view.camera.focal_length / view.camera.distance
        hair = hair_pixels(view.head, view.shown(scalp) & view.inside, view.skin, scale)
        plain = view.skin & view.shown(skin)
        if not hair.any() or not plain.any():
            return None
        hairy = density(view.image[hair])
        to_skin = ColourRatio(hairy, density(view.image[plain]))(view.image)
        around = (view.person > 0) & view.inside & ~view.head
        if look.by_outline:
            beside = around & (height > CHIN) & (height < EAR_HIGH)
            to_skin[beside] = BOUND
            hair = hair | beside
        if to_skin[hair].mean() < DISTINCT:
            return None
        # The scalp does not have all shades of long hair, so only what looks like skin is taken for skin.
        either = look.wall + 2 * np.minimum(to_skin, 0)
        clothes = around & (height < SHOULDERS)
        if clothes.sum() >= enough(scale):
            to_clothes = ColourRatio(hairy, without(density(view.image[clothes]), hairy))(view.image)
            either = either + 2 * np.minimum(to_clothes, 0)
        either = np.clip(either, -BOUND, BOUND)
        return cls(*(cv2.GaussianBlur(odds, (0, 0), BLUR / 100 * scale) for odds in (either, to_skin)))


def heights(face: PosedFace, view: WideView, placement: Placement) -> np.ndarray:
    """[S, S] height of each pixel along the axis of a bare head, a batch of one."""
    ends = np.array([[0, EAR_HIGH, AXIS], [0, BASE, AXIS]])
    places = placement.to_model(ends) @ rotation_matrix(face.coefficients.angles)[0].numpy()
    places = places + face.coefficients.translation[0].numpy()
    high, low = view.camera.project(tf.constant(places[None], tf.float32)).numpy()[0]
    down = (low - high) / np.square(low - high).sum()
    row, column = np.indices(view.head.shape) + 0.5
    return EAR_HIGH + ((column - high[0]) * down[0] + (row - high[1]) * down[1]) * (BASE - EAR_HIGH)


def find_sides(
    face: PosedFace,
    look: Look,
    odds: HairOdds,
    placement: Placement,
    ears: tuple[np.ndarray, np.ndarray],
) -> tuple[HairSide, HairSide] | None:
    """Long hair at the head's negative and positive x; None unless all that the photo shows of the sides has it.

    Args:
      face: the bare head, a batch of one.
      look: at the photo around it, in which `odds` were found.
      odds: of hair in the photo.
      placement: of canonical coordinates.
      ears: bool [F], the triangles of each ear.
    """
    view, turn = look.view, rotation_matrix(face.coefficients.angles)[0].numpy()
    upwards = turn[1] * [1, 1, 0]
    sides: list[HairSide | None] = []
    for sign, ear in zip((-1, 1), ears, strict=True):
        sideways = sign * np.array([upwards[1], -upwards[0], 0]) / np.linalg.norm(upwards)
        in_head = turn @ sideways
        azimuth = float(np.arctan2(in_head[0], in_head[2]))
        if abs(azimuth) < CHEEK or azimuth * sign < 0:
            sides.append(None)
            continue
        axis = np.stack([np.zeros_like(HEIGHTS), HEIGHTS, np.full_like(HEIGHTS, AXIS)], axis=1)
        start = placement.to_model(axis) @ turn + face.coefficients.translation[0].numpy()
        lines = start[:, None] + (np.arange(REACH) / placement.scale)[:, None] * sideways
        radius, end, breadth = _outline(lines, view, odds)
        visible = view.shown(ear)
        over_ear = not visible.any() or (odds.any[visible] > 0).mean() > HIDDEN
        sides.append(HairSide(azimuth, end, radius, bool(over_ear), breadth))
    one_sided = any(side is None for side in sides)
    # Beside a turned head, neck and collar stand out as hair does.
    if look.by_outline and (one_sided or max(side.breadth for side in sides if side is not None) < BROAD):
        return None
    if look.by_outline and any(side is not None and side.over_ear and side.end <= LONG for side in sides):
        # Hair in the colour of skin on an ear looks like the ear. If it stands out beside it, it hides that, too.
        sides = [side and dataclasses.replace(side, over_ear=side.over_ear or side.end > LONG) for side in sides]
    least = TO_LOBE if one_sided else MIDDLE_OF_EARS if look.by_outline else OVER_BOTH_EARS
    lowest = SHOULDERS if one_sided else LONG
    for side in sides:
        if side is not None and side.end > (least if side.over_ear else lowest):
            return None
    one, other = sides
    # Hair may be wider than it is looked for; then the other side tells its width.
    if one is None or np.isnan(one.radius).all():
        one, other = other, one
    if one is None or np.isnan(one.radius).all():
        return None
    other = one.mirrored() if other is None or np.isnan(other.radius).all() else other
    return (one, other) if one.azimuth < 0 else (other, one)


def _outline(lines: np.ndarray, view: WideView, odds: HairOdds) -> tuple[np.ndarray, float, float]:
    """The hair's outline along lines [rows, REACH, 3] from the axis.

    Returns:
      Its radius [rows], NaN where it was not found and below the hair's end; that end; its breadth beside the jaw.
    """
    size = len(view.image)
    places = view.camera.project(tf.constant(lines.reshape(1, -1, 3), tf.float32)).numpy().reshape(*lines.shape[:2], 2)
    column, row = np.moveaxis(np.floor(places).astype(int), -1, 0)
    within = (column >= 0) & (row >= 0) & (column < size) & (row < size)
    at = np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)
    inside, head = within & view.inside[at], within & view.head[at]
    score = np.where(inside, odds.any[at], -2.0)
    radius, apart = np.full([2, len(HEIGHTS)], np.nan)
    end, last, unseen = START, None, None
    for i in np.flatnonzero(HEIGHTS < START):
        bare = int(np.flatnonzero(head[i]).max(initial=0))
        if not inside[i, max(bare - INWARDS, 0) : bare + STANDS_OUT].all():
            unseen = i
            break
        if end - HEIGHTS[i] > GAP:
            break
        row = score[i], odds.skin[at][i]
        radius[i] = _row(*row, bare, HEIGHTS[i])
        apart[i] = radius[i] - bare
        if np.isinf(radius[i]):
            end, radius[i] = float(HEIGHTS[i]), np.nan
            continue
        # Between rows of hair that stands out, one that lies flat on the ear does not show its outline.
        if last is not None and (radius[i] - last > JUMP or (radius[i] == bare and last - bare > JUMP)):
            radius[i] = np.nan
        if not np.isnan(radius[i]):
            end, last = float(HEIGHTS[i]), radius[i]
        elif last is not None and last > bare and min(part[bare : int(last)].mean() for part in row) > LEAST_MEAN:
            end = float(HEIGHTS[i])  # hair before something like it
    if unseen is not None and end < EAR_LOW and end - HEIGHTS[unseen] <= GAP:
        end = BASE  # the photo ends before the hair
    radius[end > HEIGHTS] = np.nan
    if (known := ~np.isnan(radius)).any():
        radius[radius - np.median(radius[known]) > 2 * JUMP] = np.nan
    apart = apart[(HEIGHTS <= JAW_HIGH) & (HEIGHTS >= JAW_LOW) & ~np.isnan(apart)]
    return radius, end, float(np.median(apart)) if len(apart) else 0.0


def _row(score: np.ndarray, to_skin: np.ndarray, bare: int, height: float) -> float:
    """Radius of the hair's outline in one row; NaN if there is none, infinite if it is out of reach.

    Args:
      score: [REACH] odds along the row, -2 outside the photo.
      to_skin: [REACH] odds of hair to skin.
      bare: radius of the bare head.
      height: of the row.
    """
    first = max(bare - INWARDS, 0)
    sums = np.concatenate([[0], np.cumsum(score[first : bare + FARTHEST] - THRIFT)])
    rise = sums[1:] - np.minimum.accumulate(sums[:-1])
    outline = int(np.argmax(rise))
    begin = first + int(np.argmin(sums[: outline + 1]))
    outline += first
    hair = slice(begin, outline + 1)
    stands_out = outline - bare > STANDS_OUT and begin <= bare + (NEAR if height > CHIN else APART)
    clear = rise.max() > LEAST_SUM and min(score[hair].mean(), to_skin[hair].mean()) > LEAST_MEAN
    if begin <= bare + NEAR and clear and outline - bare >= FARTHEST - 1:
        return np.inf
    beyond = score[outline + 1 : outline + 1 + BEYOND]
    if stands_out and clear and score[hair].mean() - beyond.mean() > LEAST_CONTRAST:
        return outline
    if height > EAR_LOW and score[max(bare - EAR_RIM, 0) : bare].mean() > FLAT_ON_EAR:
        return bare
    return np.nan
