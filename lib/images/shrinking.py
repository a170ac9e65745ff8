"""Parts of shrunk pictures, without the work of shrinking the rest."""

from collections.abc import Sequence

import cv2
import numpy as np
import scipy.sparse

# Pixels kept around a part: interpolation looks at up to two of them.
MARGIN = 3
# Larger parts are cut out of the whole picture: to shrink a pixel takes OpenCV half the time.
LARGE = 0.4
# Smaller shares of a pixel do not count, as in OpenCV.
_NOTHING = 1e-3


def shrunk_around(image: np.ndarray, factors: Sequence[float], points: np.ndarray) -> np.ndarray:
    """`cv2.resize(image, None, fx, fy, interpolation=cv2.INTER_AREA)`, but only around some points.

    There, the pixels are equal: OpenCV's sums are done in its order. The rest may be black.

    Args:
      image: uint8 [H, W, C].
      factors: fx and fy.
      points: [K, 2] pixels of the image (pixel edges), also outside of it.

    Returns:
      uint8 [h, w, C], with the pixels of the rectangle around the points, and `MARGIN` more on each side.
    """
    full = np.array(image.shape[1::-1])
    size = np.array([round(side * factor) for side, factor in zip(full.tolist(), factors, strict=True)])
    places = size / full * points
    low = np.clip(np.floor(places.min(axis=0)).astype(int) - MARGIN, 0, size - 1)
    high = np.clip(np.ceil(places.max(axis=0)).astype(int) + MARGIN, low + 1, size)
    scale = 1 / np.asarray(factors)
    broken = _is_whole(scale) and (high * scale > full).any()  # at the border, cells of less than whole pixels
    if broken or max(factors) > 1 or (high - low).prod() > LARGE * size.prod():
        fx, fy = factors
        return cv2.resize(image, None, fx=fx, fy=fy, interpolation=cv2.INTER_AREA)
    shrunk = np.zeros([*size[::-1], image.shape[2]], np.uint8)  # memory that is not touched costs nothing
    shrunk[low[1] : high[1], low[0] : high[0]] = _part(image, scale, low, high)
    return shrunk


def _part(image: np.ndarray, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The pixels `low` [2] to `high` [2] (x, y) of a shrunk picture, each of `scale` [2] pixels of the image."""
    if _is_whole(scale):  # for which OpenCV has a faster way, which rounds otherwise
        left, top, right, bottom = (np.concatenate([low, high]) * np.tile(scale, 2)).astype(int)
        return cv2.resize(image[top:bottom, left:right], (high - low).tolist(), interpolation=cv2.INTER_AREA)
    (across, columns), (down, rows) = (_means(*axis) for axis in zip(scale, image.shape[1::-1], low, high, strict=True))
    part = _along_columns(across, cv2.transpose(image[rows, columns]).astype(np.float32))
    return np.rint(_along_columns(down, cv2.transpose(part)))


def _is_whole(scale: np.ndarray) -> bool:
    return bool((scale == np.rint(scale)).all())


def _along_columns(matrix: scipy.sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    """Applies a matrix [n, m] to the columns of values [m, ...]."""
    return (matrix @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])


def _means(scale: float, side: int, first: int, last: int) -> tuple[scipy.sparse.csr_matrix, slice]:
    """The matrix [n, m] that takes means over cells of a row of pixels, and the m pixels that they cover.

    Args:
      scale: pixels per cell.
      side: number of all pixels.
      first, last: numbers of the first of n cells, and of the one behind them.
    """
    begin = np.arange(first, last) * scale
    end, cell = begin + scale, np.minimum(scale, side - begin)
    low, high = np.ceil(begin).astype(int), np.minimum(np.floor(end).astype(int), side - 1)
    low = np.minimum(low, high)
    before, after = low - begin, end - high
    start, stop = low - (before > _NOTHING), high + (after > _NOTHING)
    counts = stop - start
    borders = np.concatenate([[0], np.cumsum(counts)])
    pixels = np.arange(borders[-1]) - np.repeat(borders[:-1] - start, counts)
    weights = np.repeat(1 / cell, counts)
    partly = before > _NOTHING
    weights[borders[:-1][partly]] = (before / cell)[partly]
    partly = after > _NOTHING
    weights[borders[1:][partly] - 1] = (np.minimum(np.minimum(after, 1), cell) / cell)[partly]
    covered = slice(int(start[0]), int(stop.max()))
    shape = (last - first, covered.stop - covered.start)
    return scipy.sparse.csr_matrix((weights.astype(np.float32), pixels - covered.start, borders), shape), covered
