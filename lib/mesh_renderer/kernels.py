"""The differentiable part of rasterisation: barycentrics and interpolation, and their gradients, compiled by numba.

Each kernel handles one image; `each_image` runs those of a batch side by side. Pixels are [H, W], row 0 the top; `ids`
holds the visible triangle, -1 in the background, where barycentrics and values are 0 and gradients end.

With x_k, y_k the corners' clip coordinates relative to the pixel (x - px w, y - py w), the edge functions are
e_0 = x_1 y_2 - x_2 y_1 and its cyclic permutations, and the barycentrics b_k = e_k / (e_0 + e_1 + e_2). They are
corrected for perspective, because x and y are not divided by w. All arithmetic on them is in double precision.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lib.runtime.compilation import compiled, kernel_threads

# If a triangle's extent relative to the products in its edge functions is below this, its corners cannot be
# distinguished in float32; such a pixel takes the corners' mean and passes no gradient to the vertices.
SLIVER = 1e-6


def each_image(kernel: Callable[..., None], triangles: np.ndarray, *images: np.ndarray) -> None:
    """Runs a kernel(triangles, *arrays of one image) for each image of the arrays [B, ...]."""
    threads = min(len(images[0]), kernel_threads())
    if threads <= 1:
        for arrays in zip(*images, strict=True):
            kernel(triangles, *arrays)
    else:
        # The pool ends with the call: one that stayed would not survive a fork.
        with ThreadPoolExecutor(threads, "mesh renderer") as pool:
            list(pool.map(kernel, itertools.repeat(triangles), *images))


@compiled(nogil=True, error_model="numpy")
def _edges(triangles, clip, triangle, px, py):
    """x_k, y_k of a pixel's triangle, its edge functions, and their sum: 0 where they cannot be told from rounding."""
    a, b, c = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
    w0, w1, w2 = np.float64(clip[a, 3]), np.float64(clip[b, 3]), np.float64(clip[c, 3])
    # Triple products of absolute coordinates would lose digits to cancellation.
    x0, x1, x2 = clip[a, 0] - px * w0, clip[b, 0] - px * w1, clip[c, 0] - px * w2
    y0, y1, y2 = clip[a, 1] - py * w0, clip[b, 1] - py * w1, clip[c, 1] - py * w2
    e0, e1, e2 = x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0
    magnitude = abs(x1 * y2) + abs(x2 * y1) + abs(x2 * y0) + abs(x0 * y2) + abs(x0 * y1) + abs(x1 * y0)
    total = e0 + e1 + e2
    if not abs(total) > SLIVER * magnitude:
        total = 0.0
    return x0, x1, x2, y0, y1, y2, e0, e1, e2, total


@compiled(nogil=True, error_model="numpy")
def barycentrics(triangles, clip, ids, result):
    """Fills `result` [H, W, 3] for clip coordinates [N, 4]."""
    barycentrics_of_rows(triangles, clip, ids, 0, ids.shape[0], result)


@compiled(nogil=True, error_model="numpy")
def barycentrics_of_rows(triangles, clip, ids, first, height, result):
    """As `barycentrics`, for the rows from `first` on of a picture with `height` rows."""
    rows, width = ids.shape
    for row in range(rows):
        py = 1.0 - (2 * (first + row) + 1) / height
        for column in range(width):
            if ids[row, column] < 0:
                result[row, column, 0] = result[row, column, 1] = result[row, column, 2] = 0.0
                continue
            px = (2 * column + 1) / width - 1.0
            _, _, _, _, _, _, e0, e1, e2, total = _edges(triangles, clip, ids[row, column], px, py)
            if total == 0.0:
                e0 = e1 = e2 = 1.0
                total = 3.0
            result[row, column, 0] = e0 / total
            result[row, column, 1] = e1 / total
            result[row, column, 2] = e2 / total


@compiled(nogil=True, error_model="numpy")
def barycentrics_gradient(triangles, clip, ids, upstream, result):
    """Adds to `result` [N, 4] the gradient of the clip coordinates; `upstream` [H, W, 3]: of the barycentrics."""
    height, width = ids.shape
    for row in range(height):
        py = 1.0 - (2 * row + 1) / height
        for column in range(width):
            triangle = ids[row, column]
            if triangle < 0:
                continue
            px = (2 * column + 1) / width - 1.0
            x0, x1, x2, y0, y1, y2, e0, e1, e2, total = _edges(triangles, clip, triangle, px, py)
            if total == 0.0:
                continue
            g0, g1, g2 = upstream[row, column, 0], upstream[row, column, 1], upstream[row, column, 2]
            mean = (e0 * g0 + e1 * g1 + e2 * g2) / total
            h0, h1, h2 = (g0 - mean) / total, (g1 - mean) / total, (g2 - mean) / total  # of the edge functions
            for corner in range(3):
                if corner == 0:
                    dx, dy = h2 * y1 - h1 * y2, h1 * x2 - h2 * x1
                elif corner == 1:
                    dx, dy = h0 * y2 - h2 * y0, h2 * x0 - h0 * x2
                else:
                    dx, dy = h1 * y0 - h0 * y1, h0 * x1 - h1 * x0
                vertex = triangles[triangle, corner]
                result[vertex, 0] += dx
                result[vertex, 1] += dy
                result[vertex, 3] -= px * dx + py * dy


@compiled(nogil=True, error_model="numpy")
def interpolation(triangles, attributes, ids, weights, result):
    """Fills `result` [H, W, C] with attributes [N, C], weighted by the barycentrics `weights` [H, W, 3]."""
    height, width, channels = result.shape
    for row in range(height):
        for column in range(width):
            triangle = ids[row, column]
            if triangle < 0:
                for k in range(channels):
                    result[row, column, k] = 0.0
                continue
            a, b, c = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
            u, v, w = weights[row, column, 0], weights[row, column, 1], weights[row, column, 2]
            for k in range(channels):
                result[row, column, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]


@compiled(nogil=True, error_model="numpy")
def attributes_gradient(triangles, ids, weights, upstream, result):
    """Adds to `result` [N, C] the gradient of the attributes; `upstream` [H, W, C]: of the result."""
    height, width, channels = upstream.shape
    for row in range(height):
        for column in range(width):
            triangle = ids[row, column]
            if triangle < 0:
                continue
            for corner in range(3):
                vertex, weight = triangles[triangle, corner], weights[row, column, corner]
                for k in range(channels):
                    result[vertex, k] += weight * upstream[row, column, k]


@compiled(nogil=True, error_model="numpy")
def weights_gradient(triangles, attributes, ids, upstream, result):
    """Fills `result` [H, W, 3] with the gradient of the barycentrics; `upstream` as in `attributes_gradient`."""
    height, width, channels = upstream.shape
    for row in range(height):
        for column in range(width):
            triangle = ids[row, column]
            for corner in range(3):
                total = np.float64(0.0)
                if triangle >= 0:
                    vertex = triangles[triangle, corner]
                    for k in range(channels):
                        total += upstream[row, column, k] * attributes[vertex, k]
                result[row, column, corner] = total
