"""Face mask of an aligned crop without a trained network: graph cut around the posed face model.

The silhouette of a face model posed on the photo gives the rough region; GrabCut (Rother et al. 2004) moves its border
to the photo's edges. A skin-colour mixture helps where it separates this face from its surroundings and is ignored
otherwise (coloured light, skin-coloured background). Eyes, mouth, brows and beard are part of the face; hair over the
forehead, rims of glasses and other objects in front of the face may or may not be excluded.
"""

import cv2
import numpy as np

from lib.face_image.quality import Unusable
from lib.face_mask.skin import skin_posterior

# Every crop is resized to this side; all lengths below are in its pixels.
WORKING_SIDE = 256
# Maximum distance of the face outside the silhouette; smaller below the jaw, where the neck begins, which has the same
# colour as the face.
BANDS = (17, 9)
FITTED_BANDS = (8, 6)
# The face's border may lie this far inside the silhouette (hair, a cap); deeper inside, only pixels of a different
# colour can be background.
CORE = 14
# More iterations change the overlap with hand-drawn outlines by less than 0.001.
ITERATIONS = 2
# The skin probability is used if its means on the sure face and the sure background differ by at least this much.
SKIN_GATE = 0.3
# Hair is searched for above this height over the eyes (share of the distance between eyes and mouth: above the brows),
# in pixels whose colour differs from the face's by this many standard deviations.
FOREHEAD = 0.42
UNLIKE = 3.0
# Pixels above the eyes that are darker by more than this are surely hair or a cap; less dark ones may be a cap's shadow
# on skin, which the cut decides. Brows become holes, which are filled.
BROWS = 0.25
SURELY_UNLIKE = 6.0
# Where face and surroundings have the same colours, the cut collapses onto the sure face. If the result keeps less than
# this share of the probable face, the probable face is used instead.
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
      points: [5, 2] eyes, nose, mouth corners in pixels of the crop (pixel edges); their hull is always face.
      silhouette: bool [H, W], rendering of the face model posed on the crop; a fitted model gives a better mask.
      valid: bool [H, W] pixels of the crop that the photo covers; all others are not face.
      soft: blur the border by about a pixel of 256 instead of a hard 0 / 255.
      fitted: the silhouette shows a face fitted to this crop, so stay closer to it, which excludes the ears.

    Returns:
      uint8 [H, W], 0 not face, 255 face: one connected region without holes.

    Raises:
      ValueError: wrong shapes or an empty silhouette.
      Unusable: the photo covers nothing of the hull of the points.
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
    """The silhouette grown by the first band, and below its lower border only by the second."""
    wide, narrow = (cv2.dilate(face.astype(np.uint8), _ellipse(radius)) > 0 for radius in bands)
    rows = np.arange(WORKING_SIDE)[:, None]
    lowest = np.where(face, rows, -1).max(0)
    # Columns next to the silhouette take the border of its nearest column, so that the corners of the jaw are included.
    columns = np.nonzero(face.any(0))[0]
    lowest = lowest[np.clip(np.arange(WORKING_SIDE), columns[0], columns[-1])]
    return np.where(rows > lowest, narrow, wide)


def unlike_the_face(image: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Distance of each pixel's colour from the sure face's in standard deviations, negative for darker pixels.

    It is 0 everywhere if the sure face has fewer than two pixels, of which nothing follows for the others.
    """
    if np.count_nonzero(sure) < 2:
        return np.zeros(sure.shape)
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.5), cv2.COLOR_RGB2LAB).astype(np.float64)
    sample = lab[sure]
    centre = np.median(sample, axis=0)
    # The hull also contains eyes, nostrils and teeth: the three quarters closest in colour are taken as skin.
    distances = ((sample - centre) ** 2 / np.maximum(sample.var(0), 1)).sum(1)
    sample = sample[distances <= np.quantile(distances, 0.75)]
    # Light varies more over the whole face than inside the hull, hence the lower bound (Lab values in 0..255).
    covariance = np.cov(sample.T) + np.diag([18.0, 5.0, 5.0]) ** 2
    offsets = lab - sample.mean(0)
    distance = np.sqrt(np.einsum("hwi,ij,hwj->hw", offsets, np.linalg.inv(covariance), offsets))
    return np.where(offsets[..., 0] < 0, -distance, distance)


def _trimap(
    image: np.ndarray, points: np.ndarray, face: np.ndarray, inside: np.ndarray, bands: tuple[int, int]
) -> np.ndarray:
    """GrabCut's labels: sure background, sure face (hull of the points) and the two probable classes."""
    near = _near(face, bands) & inside
    hull = _hull(points) & inside
    if not hull.any():
        raise Unusable("cut off", "face cut off: eyes, nose and mouth are outside the photo")
    labels = np.full(face.shape, cv2.GC_BGD, np.uint8)
    labels[near] = cv2.GC_PR_BGD
    labels[face & near] = cv2.GC_PR_FGD
    # Hair and caps: around the forehead and the temples, colours far from the face's are not face.
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    up = (eyes - mouth) / max(np.linalg.norm(eyes - mouth), 1e-9)
    height = np.stack(np.meshgrid(*[np.arange(WORKING_SIDE) + 0.5] * 2), axis=-1) @ up - eyes @ up
    core = cv2.erode(face.astype(np.uint8), _ellipse(CORE)) > 0
    forehead = height > FOREHEAD * np.linalg.norm(eyes - mouth)
    unlike = unlike_the_face(image, hull)
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
    # GrabCut initialises its mixtures by k-means with OpenCV's global random generator.
    cv2.setRNGSeed(0)
    # BGR is only a convention here: the mixtures do not depend on the order of the channels.
    labels, *_ = cv2.grabCut(image, labels.copy(), None, background, foreground, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _one_piece(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Smooths the border, keeps only the component at the nose and fills holes."""
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _ellipse(3))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _ellipse(5))
    mask |= _hull(points)
    _, parts = cv2.connectedComponents(mask)
    column, row = np.clip(points.mean(0), 0, WORKING_SIDE - 1).astype(int)
    mask = parts == parts[row, column]
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2
