"""Mask of a face with 468 points: a decoder's log odds for each pixel, joined with the photo's own colours.

The decoder has learned what skin, hair, glasses and hands look like; the colours of cheeks, nose, chin and glabella,
against those around the head, show where this face ends. Both give log odds, which are added.
"""

import cv2
import numpy as np

from lib.face_mask.glasses import rims
from lib.face_mask.segmentation import SURELY_UNLIKE, unlike_the_face
from lib.face_mask.skin_colours import ColourCells
from lib.face_mesh.groups import EYES, INNER_LIPS, LEFT_BROW, LEFT_EYE, OUTER_LIPS, OVAL, RIGHT_BROW, RIGHT_EYE
from lib.face_mesh.network import Square
from lib.images.guided_filter import guided_filter

# All lengths are pixels of a crop of this side; every crop is resized to it.
WORKING_SIDE = 224
# Weights of the decoder's log odds and of the oval's.
DECODER, OVAL_PRIOR = 1.0, 0.05
# Log odds of skin between brows, eyes and mouth: what covers a face seldom lies there.
INNER_FACE = 0.9
# The oval's log odds grow by one in this distance from its border, up to a limit.
OVAL_STEP, OVAL_LIMIT = 3.0, 6.0
# Below the eyes, where ears and neck have the face's colours, the log odds fall by one per pixel beyond this distance.
JAW_FREE = 4.0
# Convex areas of plain skin, by their points: cheeks, nose, chin, glabella.
SKIN_AREAS = (
    (117, 118, 101, 36, 205, 187, 123),
    (346, 347, 330, 266, 425, 411, 352),
    (122, 351, 196, 419, 3, 248, 51, 281, 5, 4),
    (18, 83, 313, 200, 201, 421, 199),
    (107, 336, 9, 8, 151),
)
# The ring of examples of everything else: inner and outer border as multiples of the oval's size.
RING = (1.10, 1.45)
OUTSIDE = -8.0
RADIUS, EPSILON = 5, 1e-3
# Parts of the face that are not skin-coloured, as outlines.
FEATURES = (LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW, OUTER_LIPS, INNER_LIPS)
# Pieces smaller than this share of the largest are dropped, holes smaller than this (pixels) are filled.
LEAST_PIECE, LARGEST_HOLE = 0.15, 130
# Pieces that lie beside the part between the features are dropped below this share of the largest, if the mean of the
# decoder's log odds is below this share of the largest piece's: 0.27 for light on a fringe.
LEAST_DOUBTED, DOUBTED = 0.5, 0.5
# Width of a piece's soft border, pixels.
SOFT_BORDER = 2


def dense_mask(
    crop: np.ndarray, points: np.ndarray, log_odds: np.ndarray, square: Square, inside: np.ndarray
) -> np.ndarray:
    """Alpha of the face's visible skin in a crop; eyes, brows, lips and beard belong to it.

    Args:
      crop: uint8 [H, H, 3].
      points: [468, 2] pixels of the crop (pixel edges).
      log_odds: [S, S] the decoder's.
      square: where in the crop those lie.
      inside: bool [H, H], pixels that the photo covers.

    Returns:
      float32 [H, H] in [0, 1], with soft borders.
    """
    size = crop.shape[0]
    scale = WORKING_SIDE / size
    if size != WORKING_SIDE:
        method = cv2.INTER_AREA if size > WORKING_SIDE else cv2.INTER_CUBIC
        crop = cv2.resize(np.ascontiguousarray(crop), (WORKING_SIDE, WORKING_SIDE), interpolation=method)
        square = Square(square.centre * scale, square.side * scale, square.angle)
    image, points = np.ascontiguousarray(crop), points * scale
    decoded = spread_out(log_odds, square)
    alpha = _opacity(image, points, decoded)
    method = cv2.INTER_AREA if size < WORKING_SIDE else cv2.INTER_LINEAR
    alpha = cv2.resize(alpha, (size, size), interpolation=method) if size != WORKING_SIDE else alpha
    return alpha * inside


def spread_out(log_odds: np.ndarray, square: Square) -> np.ndarray:
    """Interpolates log odds [S, S] of a square at the pixels of the crop; OUTSIDE elsewhere."""
    count = log_odds.shape[0]
    # OpenCV's coordinates have their origin at a pixel centre.
    corners = square.from_image(np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]])) * count - 0.5
    transform = np.column_stack([corners[1] - corners[0], corners[2] - corners[0], corners[0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(log_odds, transform, (WORKING_SIDE, WORKING_SIDE), flags=flags, borderValue=OUTSIDE)


def _opacity(image: np.ndarray, points: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    oval = points[list(OVAL)]
    form = DECODER * decoded + _oval_log_odds(points)
    areas = np.any([_filled(cv2.convexHull(points[list(area)].astype(np.float32))) for area in SKIN_AREAS], axis=0)
    around, cells = _ring(oval, points), ColourCells(image)
    # A fringe may cover the glabella, a hand a cheek.
    examples = cells.typical(areas)
    # Above the brows, what is much darker than the skin is hair or the underside of a brim: a comb across the texture.
    above = ~_towards_chin(points, points[list(LEFT_BROW + RIGHT_BROW)].mean(0))
    form = np.where(above & (unlike_the_face(image, examples) < -SURELY_UNLIKE), OUTSIDE, form)
    likely = _sigmoid(form)
    colours = cells.log_ratio(examples * likely, around * (1 - likely))
    # One round of expectation and maximisation: both histograms again, from what is now likely. The squares keep
    # doubtful pixels, such as a fringe that the decoder takes for skin, from voting for themselves.
    likely = _sigmoid(form + colours)
    region = _grown(oval, RING[1]) & ~_below(points)
    colours = cells.log_ratio(likely**2 * region, (1 - likely) ** 2 * region)
    likely = _sigmoid(form + colours)
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    # Half of the probabilities' range, so that borders are a pixel or two wide.
    alpha = np.clip((guided_filter(guide, likely, RADIUS, EPSILON) - 0.25) * 2, 0, 1)
    for outline in FEATURES:
        feature = _filled(points[list(outline)])
        # Sunglasses, hair and hands may cover an eye: the decoder, which knows eyes, decides.
        if feature.any() and decoded[feature].mean() > 0:
            alpha[feature] = np.maximum(alpha[feature], _sigmoid(DECODER * decoded[feature]))
    alpha = _in_few_pieces(alpha, _between_features(points), decoded)
    alpha[rims(guide, _sigmoid(decoded).astype(np.float32), points)] = 0
    return alpha


def _oval_log_odds(points: np.ndarray) -> np.ndarray:
    """Log odds by the signed distance from the oval's border, and between the features."""
    filled = _filled(points[list(OVAL)]).astype(np.uint8)
    distance = cv2.distanceTransform(filled, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5)
    everywhere = OVAL_PRIOR * np.clip(distance / OVAL_STEP, -OVAL_LIMIT, OVAL_LIMIT)
    everywhere = everywhere + INNER_FACE * _between_features(points)
    below = _towards_chin(points, points[list(EYES)].mean(0))
    return everywhere + below * np.clip(distance + JAW_FREE, OUTSIDE, 0)


def _between_features(points: np.ndarray) -> np.ndarray:
    """Pixels between brows, eyes and mouth, bool."""
    return _filled(cv2.convexHull(np.concatenate([points[list(outline)] for outline in FEATURES]).astype(np.float32)))


def _ring(oval: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels around the head, without those below the mouth."""
    return _grown(oval, RING[1]) & ~_grown(oval, RING[0]) & ~_below(points)


def _below(points: np.ndarray) -> np.ndarray:
    """Pixels below the mouth, towards the neck, which is skin."""
    return _towards_chin(points, points[[13, 14]].mean(0))


def _towards_chin(points: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Pixels, bool, on the chin's side of a place [2]."""
    down = points[152] - points[list(EYES)].mean(0)
    rows, columns = np.mgrid[:WORKING_SIDE, :WORKING_SIDE] + 0.5
    return (columns - start[0]) * down[0] + (rows - start[1]) * down[1] > 0


def _grown(oval: np.ndarray, factor: float) -> np.ndarray:
    middle = oval.mean(0)
    return _filled(middle + factor * (oval - middle))


def _filled(outline: np.ndarray) -> np.ndarray:
    """Pixels inside a polygon, bool."""
    mask = np.zeros((WORKING_SIDE, WORKING_SIDE), np.uint8)
    corners = np.rint((outline.reshape(-1, 1, 2) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=4)
    return mask > 0


def _in_few_pieces(alpha: np.ndarray, inner: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Drops small pieces and fills small holes: specks of skin colour in hair, of hair colour on skin.

    Larger pieces are dropped if the decoder doubts them and they lie beside the face, such as the light on a fringe.

    Args:
      alpha: [H, W] in [0, 1].
      inner: bool [H, W], pixels between the features.
      decoded: [H, W] the decoder's log odds.
    """
    for value in (1.0, 0.0):
        _, parts, statistics, _ = cv2.connectedComponentsWithStats(((alpha > 0.5) == value).astype(np.uint8))
        areas = statistics[:, cv2.CC_STAT_AREA]
        if len(areas) == 1:
            continue
        small = areas < (LEAST_PIECE * areas[1:].max() if value else LARGEST_HOLE)
        if value:
            beside = np.bincount(parts[inner], minlength=len(areas)) == 0
            odds = np.bincount(parts.ravel(), decoded.ravel(), len(areas)) / areas
            doubted = odds < DOUBTED * odds[1 + areas[1:].argmax()]
            small |= beside & doubted & (areas < LEAST_DOUBTED * areas[1:].max())
        small[0] = False
        speck = small[parts]
        # With its soft border, except for what may be that of a piece that stays.
        ring = _widened(speck) & ~_widened((parts > 0) & ~speck)
        alpha = np.where(speck | ring, 1 - value, alpha)
    return alpha.astype(np.float32)


def _widened(part: np.ndarray) -> np.ndarray:
    side = 2 * SOFT_BORDER + 1
    return cv2.dilate(part.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))
