"""Visible triangle of every pixel: the discrete part of rasterisation, compiled by numba, without gradients.

Homogeneous rasterisation (Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates", 1997): the edge
functions are evaluated on the clip coordinates (x, y, w) before any division, so that a triangle reaching behind the
camera need not be split. All arithmetic is in double precision, which makes coverage exact for float32 meshes of any
practical size. The function of a shared edge has the same value in both triangles up to its sign, so there are no
cracks between them.
"""

import math

import numpy as np

from lib.mesh_renderer.kernels import each_image
from lib.runtime.compilation import compiled

# Depths in [-1, 1] that differ by less than this count as equal: above the rounding of the double-precision sums, so
# that a triangle with its corners in another order has equal depth, and far below the precision of float32 vertices.
EQUAL_DEPTH = 1e-12

# Margin of bounding boxes in pixels: above the rounding of projected corners, so that no covered centre is missed.
BOX_MARGIN = 1e-6


@compiled(nogil=True, error_model="numpy")
def _clipped_range(low, high, count):
    """First and one-past-last pixel whose centre lies in [low, high], within 0 .. count."""
    first = math.ceil(min(max(low - 0.5 - BOX_MARGIN, 0.0), float(count)))
    last = math.floor(min(max(high - 0.5 + BOX_MARGIN, -1.0), float(count - 1)))
    return int(first), int(last) + 1


@compiled(nogil=True, error_model="numpy")
def _near_clipped_box(corners, height, width):
    """Bounding box in pixels of the part of a triangle beyond the near plane (x0, x1, y0, y1); empty if x0 > x1.

    Args:
      corners: [3, 4] clip coordinates, at least one nearer than the near plane (z < -w).
    """
    x_low, x_high, y_low, y_high = np.inf, -np.inf, np.inf, -np.inf
    for i in range(3):
        j = (i + 1) % 3
        inside_i, inside_j = corners[i, 2] + corners[i, 3], corners[j, 2] + corners[j, 3]
        for end in range(2):
            if end == 0:
                if inside_i < 0.0:
                    continue
                x, y, w = corners[i, 0], corners[i, 1], corners[i, 3]
            else:
                if (inside_i < 0.0) == (inside_j < 0.0):
                    continue
                t = inside_i / (inside_i - inside_j)
                x = corners[i, 0] + t * (corners[j, 0] - corners[i, 0])
                y = corners[i, 1] + t * (corners[j, 1] - corners[i, 1])
                w = corners[i, 3] + t * (corners[j, 3] - corners[i, 3])
            if w <= 0.0:  # a near plane through or behind the camera does not bound the box
                return 0.0, float(width), 0.0, float(height)
            column, row = (x / w + 1.0) * (0.5 * width), (1.0 - y / w) * (0.5 * height)
            x_low, x_high = min(x_low, column), max(x_high, column)
            y_low, y_high = min(y_low, row), max(y_high, row)
    return x_low, x_high, y_low, y_high


@compiled(nogil=True, error_model="numpy")
def _project(clip, height, width):
    """Column and row [N] in pixels of every vertex, and whether it lies beyond the near plane; 0 if it does not."""
    vertex_count = clip.shape[0]
    column = np.empty(vertex_count)
    row = np.empty(vertex_count)
    in_front = np.empty(vertex_count, np.bool_)
    for n in range(vertex_count):
        x, y, z, w = np.float64(clip[n, 0]), np.float64(clip[n, 1]), np.float64(clip[n, 2]), np.float64(clip[n, 3])
        in_front[n] = w > 0.0 and z + w >= 0.0
        column[n] = (x / w + 1.0) * (0.5 * width) if in_front[n] else 0.0
        row[n] = (1.0 - y / w) * (0.5 * height) if in_front[n] else 0.0
    return column, row, in_front


@compiled(nogil=True, error_model="numpy")
def _draw(triangles, clip, ids, depth):
    """Fills `ids` and `depth` of one image; see `visible_triangles`."""
    _draw_rows(triangles, clip, 0, ids.shape[0], ids, depth)


@compiled(nogil=True, error_model="numpy")
def _draw_rows(triangles, clip, first, height, ids, depth):
    """Fills `ids` and `depth` [R, W] of the rows from `first` on of an image with `height` rows."""
    rows, width = ids.shape
    column, row, in_front = _project(clip, height, width)
    corners = np.empty((3, 4))
    centre_x = (2 * np.arange(width) + 1) / width - 1.0
    centre_y = 1.0 - (2 * np.arange(height) + 1) / height
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        if in_front[a] and in_front[b] and in_front[c]:
            x_low, x_high = min(column[a], column[b], column[c]), max(column[a], column[b], column[c])
            y_low, y_high = min(row[a], row[b], row[c]), max(row[a], row[b], row[c])
        elif clip[a, 2] < -clip[a, 3] and clip[b, 2] < -clip[b, 3] and clip[c, 2] < -clip[c, 3]:
            continue
        else:
            for k in range(4):
                corners[0, k], corners[1, k], corners[2, k] = clip[a, k], clip[b, k], clip[c, k]
            x_low, x_high, y_low, y_high = _near_clipped_box(corners, height, width)
        # Written so that NaN fails the test: a NaN vertex draws nothing instead of crashing.
        if not (x_high >= 0.0 and x_low <= width and y_high >= 0.0 and y_low <= height):
            continue
        first_column, end_column = _clipped_range(x_low, x_high, width)
        first_row, end_row = _clipped_range(y_low, y_high, height)
        first_row, end_row = max(first_row, first), min(end_row, first + rows)
        if first_column >= end_column or first_row >= end_row:
            continue

        x0, y0, z0, w0 = np.float64(clip[a, 0]), np.float64(clip[a, 1]), np.float64(clip[a, 2]), np.float64(clip[a, 3])
        x1, y1, z1, w1 = np.float64(clip[b, 0]), np.float64(clip[b, 1]), np.float64(clip[b, 2]), np.float64(clip[b, 3])
        x2, y2, z2, w2 = np.float64(clip[c, 0]), np.float64(clip[c, 1]), np.float64(clip[c, 2]), np.float64(clip[c, 3])
        # Edge function i at the point (px, py, 1) is its triple product with the two corners other than i.
        e0x, e0y, e0c = y1 * w2 - w1 * y2, w1 * x2 - x1 * w2, x1 * y2 - y1 * x2
        e1x, e1y, e1c = y2 * w0 - w2 * y0, w2 * x0 - x2 * w0, x2 * y0 - y2 * x0
        e2x, e2y, e2c = y0 * w1 - w0 * y1, w0 * x1 - x0 * w1, x0 * y1 - y0 * x1
        for iy in range(first_row, end_row):
            py = centre_y[iy]
            r0, r1, r2 = e0y * py + e0c, e1y * py + e1c, e2y * py + e2c
            for ix in range(first_column, end_column):
                px = centre_x[ix]
                e0, e1, e2 = e0x * px + r0, e1x * px + r1, e2x * px + r2
                # Three equal signs: inside, of either winding. Where the triangle reaches behind the camera they may
                # also mean its mirror image there, which has w < 0 and so fails the depth test below.
                if not ((e0 >= 0.0 and e1 >= 0.0 and e2 >= 0.0) or (e0 <= 0.0 and e1 <= 0.0 and e2 <= 0.0)):
                    continue
                total = e0 + e1 + e2
                if total == 0.0:
                    continue
                w = (e0 * w0 + e1 * w1 + e2 * w2) / total
                if not w > 0.0:
                    continue
                z = (e0 * z0 + e1 * z1 + e2 * z2) / total / w
                if z >= -1.0 and z <= 1.0 and z <= depth[iy - first, ix] + EQUAL_DEPTH:
                    depth[iy - first, ix] = z
                    ids[iy - first, ix] = f


def visible_triangles(
    clip_vertices: np.ndarray, triangles: np.ndarray, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle at every pixel centre, and its depth.

    Args:
      clip_vertices: [B, N, 4] float clip coordinates (x right, y up; visible where |x|, |y|, |z| <= w).
      triangles: [F, 3] int32 vertex indices; both windings are drawn, a later triangle wins at equal depth.
      image_size: (H, W).

    Returns:
      ids [B, H, W] int32, -1 where nothing is seen, and depth z/w [B, H, W] in the vertices' precision, 1 there.
      Row 0 is the top.

    Raises:
      ValueError: a triangle names a vertex that does not exist.
    """
    check_indices(triangles, clip_vertices.shape[1])
    batch = clip_vertices.shape[0]
    ids = np.full((batch, *image_size), -1, np.int32)
    depth = np.ones((batch, *image_size), np.float64)
    each_image(_draw, triangles, clip_vertices, ids, depth)
    return ids, depth.astype(clip_vertices.dtype)


def visible_in_rows(
    clip_vertices: np.ndarray, triangles: np.ndarray, image_size: tuple[int, int], first: int, rows: int
) -> np.ndarray:
    """Ids [rows, W] as those of `visible_triangles`, of the rows from `first` on of one image.

    Args:
      clip_vertices: [N, 4]; triangles and image_size as there.
      first: number of the first row.
      rows: their number.
    """
    check_indices(triangles, len(clip_vertices))
    height, width = image_size
    ids, depth = np.full((rows, width), -1, np.int32), np.ones((rows, width), np.float64)
    _draw_rows(triangles, clip_vertices, first, height, ids, depth)
    return ids


def check_indices(triangles: np.ndarray, vertex_count: int) -> None:
    """Raises ValueError unless every vertex index lies in 0 .. vertex_count - 1."""
    if triangles.size == 0:
        return
    low, high = triangles.min(), triangles.max()
    if low < 0 or high >= vertex_count:
        raise ValueError(f"triangles must hold vertex indices from 0 to {vertex_count - 1}, got {low} to {high}")
