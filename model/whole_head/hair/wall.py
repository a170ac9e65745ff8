"""The wall: what a photo shows behind a head, by its colours and by the outline of the person."""

import cv2
import numpy as np

from lib.images.colour_ratio import BOUND, ColourRatio, density, without

# Lengths in decimetres from the outline of the bare head. Hair is surely found this far inside; the wall surely this
# far outside, and up to the last distance. Nearer, pixels count less: in proportion, or for the wall, where hair stands
# out, by this power.
SURELY_HAIR, SURELY_WALL, FARTHEST, POWER = 0.3, 0.6, 1.15, 2
# Pixels this near the outline and the mask of the skin count for neither: they are mixed.
MARGIN, MASK_MARGIN = 0.05, 0.02
# Each needs this area in square decimetres (100 pixels around a crop of REFERENCE_SIZE), and at least so many pixels.
LEAST_AREA, FEWEST = 0.0097, 10
# Mean log of the odds of hair to wall below which a pixel shows the wall, over a square of this share of the picture.
BEHIND, WINDOW = -0.65, 1 / 70


def hair_to_wall(
    image: np.ndarray,
    person: np.ndarray,
    head: np.ndarray,
    scalp: np.ndarray,
    skin: np.ndarray,
    around: np.ndarray,
    scale: float,
) -> np.ndarray | None:
    """Log [S, S] of the odds of hair to the wall, within `BOUND`; None if the photo does not show both.

    The wall is not only what is far away: another one may begin there, or the photo may be pasted on a plain ground.
    Near the head there may be hair, too: its colours are taken out of the wall's if the person's outline is not known.

    Args:
      image: [S, S, 3] float32 RGB in [0, 1].
      person: [S, S] log of the odds of the person to what is behind.
      head: bool [S, S], the bare head.
      scalp: bool [S, S], part of it that the photo shows.
      skin: bool [S, S], skin by the mask, such as a high forehead, which is no hair.
      around: bool [S, S], pixels that the photo shows beyond the scalp.
      scale: pixels per decimetre.
    """
    beyond = _distance(~head) / scale
    wall = around & (person <= 0) & (beyond > MARGIN) & (beyond < FARTHEST)
    hair, within = hair_pixels(head, scalp, skin, scale), _distance(head) / scale
    if min(hair.sum(), wall.sum()) < enough(scale):
        return None
    hairy = density(image[hair], np.minimum(within[hair] / SURELY_HAIR, 1))
    behind = density(image[wall], np.minimum((beyond[wall] - MARGIN) / SURELY_WALL, 1) ** POWER)
    if not person.any():
        behind = without(behind, hairy)
    colours = ColourRatio(hairy, behind)(image)
    return np.clip(colours + person, -BOUND, BOUND).astype(np.float32)


def hair_pixels(head: np.ndarray, scalp: np.ndarray, skin: np.ndarray, scale: float) -> np.ndarray:
    """Bool [S, S], pixels that show hair, or the scalp of a bald head; arguments as in `hair_to_wall`."""
    own = scalp & (_distance(head) > MARGIN * scale)
    hair = own & (_distance(~skin) > MASK_MARGIN * scale)
    return hair if hair.sum() >= enough(scale) else own


def enough(scale: float) -> float:
    """Number of pixels that tell colours, for so many pixels per decimetre."""
    return max(LEAST_AREA * scale**2, FEWEST)


def behind_head(odds: np.ndarray, head: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Bool [S, S], pixels that show the wall, even where the head is drawn: it may be drawn too large.

    Hair in the colours of the wall is kept where it is surrounded by other hair.

    Args:
      odds: [S, S] log of the odds of hair to wall.
      head: bool [S, S], the head as it is drawn.
      free: bool [S, S], pixels that may show the wall.
    """
    window = max(round(WINDOW * len(odds)), 1)
    likely = free & (cv2.blur(odds, (window, window)) < BEHIND)
    count, parts = cv2.connectedComponents(np.uint8(likely), connectivity=4)
    outside = np.zeros(count, bool)
    outside[parts[likely & ~head]] = True
    return outside[parts]


def _distance(part: np.ndarray) -> np.ndarray:
    """[S, S] distance of the pixels of a part, bool [S, S], from the others, pixels."""
    return cv2.distanceTransform(np.uint8(part), cv2.DIST_L2, cv2.DIST_MASK_5)
