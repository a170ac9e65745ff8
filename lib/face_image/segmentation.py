"""Face mask of an aligned crop without any trained network: graph cut around the posed face model.

The silhouette of a face model posed on the photo says roughly where the face is; GrabCut (Rother et al. 2004) moves its
border to the photo's edges; a skin-colour mixture helps where it can tell this face from its surroundings, and is
ignored where it cannot (coloured light, skin-coloured background). Eyes, mouth, brows and beard belong to the face;
hair over the forehead, glasses' rims and everything in front of the face need not.
"""

import cv2
import numpy as np

from lib.face_image.skin import skin_posterior

# All lengths below are pixels at this side, to which every crop is brought.
WORKING_SIDE = 256
# Farther than this outside of the silhouette nothing is face; below the jaw less, because there the neck begins, which
# no colour separates from the face.
BANDS = (17, 9)
FITTED_BANDS = (8, 6)
# The face's own border may lie this far inside (hair, a cap); deeper, only a different colour makes background.
CORE = 14
# More change the overlap with drawn outlines by less than 0.001.
ITERATIONS = 2
# The skin hint is used when its mean differs by this much between the sure face and the sure background.
SKIN_GATE = 0.3
# Hair is looked for from this height above the eyes on (part of the distance between eyes and mouth: above the brows),
# where a colour differs from the face's own by this many standard deviations.
FOREHEAD = 0.42
UNLIKE = 3.0
# From here on a darker colour above the eyes is surely hair or a cap; less dark, it may be a cap's shadow on skin,
# which the cut decides. Brows become holes, which are filled.
BROWS = 0.25
SURELY_UNLIKE = 6.0
# Where face and surroundings have the same colours the cut collapses onto the sure face; a result that keeps less than
# this of what was probable is useless, and the probable face is used instead.
LEAST_KEPT = 0.6


def segment(
    crop: np.ndarray,
    points: np.ndarray,
    silhouette: np.ndarray,
    valid: np.ndarray | None = None,
    soft: bool = False,
    fitted: bool = False,
) -> np.ndarray:
    """Alpha of the face in a crop.

    Args:
      crop: uint8 [H, W, 3], square.
      points: [5, 2] eyes, nose, mouth corners in pixels of the crop (pixel edges); their hull is taken as face.
      silhouette: bool [H, W] rendered face model, posed on the crop; a fitted one gives the better mask.
      valid: bool [H, W] where the crop shows the photo; nothing outside is face.
      soft: blur the border by about a pixel of 256 instead of a hard 0 / 255.
      fitted: the silhouette is that of a face fitted to this crop: stay closer to it, which leaves the ears out.

    Returns:
      uint8 [H, W], 0 not face, 255 face: one piece without holes.

    Raises:
      ValueError: for wrong shapes or an empty silhouette.
    """
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[-1] != 3 or crop.shape[0] != crop.shape[1]:
        raise ValueError(f"crop must be uint8 [H, H, 3], got {crop.dtype} {list(crop.shape)}")
    size = crop.shape[0]
    if silhouette.shape != (size, size) or not silhouette.any():
        raise ValueError(f"silhouette must be [{size}, {size}] and not empty, got {list(silhouette.shape)}")
    method = cv2.INTER_AREA if size > WORKING_SIDE else cv2.INTER_CUBIC
    image = cv2.resize(np.ascontiguousarray(crop), (WORKING_SIDE, WORKING_SIDE), interpolation=method)
    face = _resize_mask(silhouette, WORKING_SIDE)
    inside = np.ones_like(face) if valid is None else _resize_mask(valid, WORKING_SIDE)
    scaled = np.asarray(points, np.float64) * (WORKING_SIDE / size)
    labels = _trimap(image, scaled, face, inside, FITTED_BANDS if fitted else BANDS)
    probable = (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_FGD)
    mask = _graph_cut(image, labels)
    if (mask & probable).sum() < LEAST_KEPT * probable.sum():
        mask = probable
    mask = _one_piece(mask & inside, scaled) & inside
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)
    alpha = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA if size < WORKING_SIDE else cv2.INTER_LINEAR)
    alpha = np.clip((alpha - 0.25) * 2, 0, 1) if soft else alpha > 0.5
    if valid is not None:
        alpha = alpha * valid
    return np.rint(alpha * 255.0).astype(np.uint8)


def _resize_mask(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR) > 0.5


def _ellipse(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _hull(points: np.ndarray) -> np.ndarray:
    hull = np.zeros((WORKING_SIDE, WORKING_SIDE), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(points - 0.5).astype(np.int32)), 1)
    return hull > 0


def _near(face: np.ndarray, bands: tuple[int, int]) -> np.ndarray:
    """The silhouette grown by the first band, but only by the second below its lower border."""
    wide, narrow = (cv2.dilate(face.astype(np.uint8), _ellipse(radius)) > 0 for radius in bands)
    rows = np.arange(WORKING_SIDE)[:, None]
    lowest = np.where(face, rows, -1).max(0)
    # Columns beside the silhouette take the border of its nearest column, so that the jaw's angles are included.
    columns = np.nonzero(face.any(0))[0]
    lowest = lowest[np.clip(np.arange(WORKING_SIDE), columns[0], columns[-1])]
    return np.where(rows > lowest, narrow, wide)


def _unlike_the_face(image: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Distance of each pixel's colour from the sure face's, in standard deviations, negative where it is darker."""
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.5), cv2.COLOR_RGB2LAB).astype(np.float64)
    sample = lab[sure]
    centre = np.median(sample, axis=0)
    # Eyes, nostrils and teeth lie in the hull as well: the nearest three quarters are its skin.
    distances = ((sample - centre) ** 2 / np.maximum(sample.var(0), 1)).sum(1)
    sample = sample[distances <= np.quantile(distances, 0.75)]
    # Light varies more over the whole face than inside of the hull, hence the floor (grey levels of Lab in 0..255).
    covariance = np.cov(sample.T) + np.diag([18.0, 5.0, 5.0]) ** 2
    offsets = lab - sample.mean(0)
    distance = np.sqrt(np.einsum("hwi,ij,hwj->hw", offsets, np.linalg.inv(covariance), offsets))
    return np.where(offsets[..., 0] < 0, -distance, distance)


def _trimap(
    image: np.ndarray, points: np.ndarray, face: np.ndarray, inside: np.ndarray, bands: tuple[int, int]
) -> np.ndarray:
    """GrabCut's labels: sure background, sure face (hull of the points), and the two probable classes between."""
    near = _near(face, bands) & inside
    hull = _hull(points) & inside
    labels = np.full(face.shape, cv2.GC_BGD, np.uint8)
    labels[near] = cv2.GC_PR_BGD
    labels[face & near] = cv2.GC_PR_FGD
    # Hair and caps: around the forehead and the temples a colour far from the face's own is not face.
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    up = (eyes - mouth) / max(np.linalg.norm(eyes - mouth), 1e-9)
    height = np.stack(np.meshgrid(*[np.arange(WORKING_SIDE) + 0.5] * 2), axis=-1) @ up - eyes @ up
    core = cv2.erode(face.astype(np.uint8), _ellipse(CORE)) > 0
    forehead = height > FOREHEAD * np.linalg.norm(eyes - mouth)
    unlike = _unlike_the_face(image, hull)
    labels[near & (forehead | ((height > 0) & ~core)) & (np.abs(unlike) > UNLIKE)] = cv2.GC_PR_BGD
    brows = height > BROWS * np.linalg.norm(eyes - mouth)
    labels[brows & (unlike < -SURELY_UNLIKE)] = cv2.GC_BGD
    posterior = cv2.GaussianBlur(skin_posterior(image / 255.0), (0, 0), 2.0)
    surely_outside = ~near & inside
    if surely_outside.any() and posterior[hull].mean() - posterior[surely_outside].mean() > SKIN_GATE:
        level = np.quantile(posterior[hull], 0.1)
        labels[near & ~core & (posterior < 0.4 * level)] = cv2.GC_PR_BGD
        labels[near & ~face & (posterior > level)] = cv2.GC_PR_FGD
    labels[hull] = cv2.GC_FGD
    return labels


def _graph_cut(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    # GrabCut starts its mixtures by k-means with OpenCV's global generator.
    cv2.setRNGSeed(0)
    # It expects BGR only by custom: the mixtures are the same for any order of channels.
    labels, *_ = cv2.grabCut(image, labels.copy(), None, background, foreground, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _one_piece(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Smooth border, only the part around the nose, no holes."""
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _ellipse(3))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _ellipse(5))
    mask |= _hull(points)
    _, parts = cv2.connectedComponents(mask)
    column, row = np.clip(points.mean(0), 0, WORKING_SIDE - 1).astype(int)
    mask = parts == parts[row, column]
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2
