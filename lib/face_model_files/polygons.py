"""Triangulation of polygons: convex ones by fans or diagonals, others by ear clipping."""

import numpy as np

# Cross products below this share of a polygon's squared extent count as straight corners.
STRAIGHT = 1e-9


def triangulate(vertices: np.ndarray, polygons: np.ndarray) -> np.ndarray:
    """Splits polygons [P, S] into triangles [P (S - 2), 3] with the same winding, those of each polygon together.

    Args:
      vertices: [N, 3].
      polygons: vertex numbers.
    """
    count, size = polygons.shape
    triangles = split_quads(vertices, polygons) if size == 4 else _fans(polygons)
    triangles = triangles.reshape(count, size - 2, 3)
    if size > 3:
        for row in np.flatnonzero(~convex(vertices[polygons])):
            triangles[row] = polygons[row][_clip_ears(_flattened(vertices[polygons[row]][None])[0])]
    return triangles.reshape(-1, 3)


def split_quads(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Splits quads [Q, 4] along their shorter diagonals into triangles [2 Q, 3] with the same winding."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    first = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1)
    halves = np.where(first[:, None], quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 1, 2, 3]])
    return halves.reshape(-1, 3)


def _fans(polygons: np.ndarray) -> np.ndarray:
    """Splits polygons [P, S] into triangle fans around their first corners, [P (S - 2), 3]."""
    steps = range(1, polygons.shape[1] - 1)
    return np.stack([polygons[:, [0, step, step + 1]] for step in steps], axis=1).reshape(-1, 3)


def _flattened(corners: np.ndarray) -> np.ndarray:
    """Projects polygons [P, S, 3] along their normals (Newell's method) to [P, S, 2], counter-clockwise."""
    corners = corners - corners.mean(axis=1, keepdims=True)
    normal = np.cross(corners, np.roll(corners, -1, axis=1)).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    aside = np.eye(3)[np.abs(normal).argmin(axis=1)]
    across = np.cross(aside, normal)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    return np.einsum("psc,pkc->psk", corners, np.stack([across, np.cross(normal, across)], axis=1))


def _turns(before: np.ndarray, at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Twice the signed area of triangles of points [..., 2], positive where the path turns left."""
    first, second = at - before, after - at
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def convex(corners: np.ndarray) -> np.ndarray:
    """[P] bool: polygons [P, S, 3] none of whose corners turn inwards."""
    flat = _flattened(corners)
    turns = _turns(np.roll(flat, 1, axis=1), flat, np.roll(flat, -1, axis=1))
    extent = np.square(np.ptp(flat, axis=1)).sum(axis=1, keepdims=True)
    return (turns >= -STRAIGHT * extent).all(axis=1)


def _clip_ears(points: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangulates a counter-clockwise polygon [S, 2]; returns triples of its corners.

    Cuts off convex corners whose triangle holds no other corner. A polygon that crosses itself may have none: then the
    corner that turns most is cut off.
    """
    count = len(points)
    before, after = np.roll(np.arange(count), 1), np.roll(np.arange(count), -1)
    turns = _turns(points[before], points, points[after])
    left, triangles = np.ones(count, bool), []
    held = np.array([_held(points, left, before[k], k, after[k]) for k in range(count)])
    for _ in range(count - 3):
        ears = left & (turns > 0) & (held < 0)
        corner = int(np.where(ears if ears.any() else left, turns, -np.inf).argmax())
        first, last = int(before[corner]), int(after[corner])
        triangles.append((first, corner, last))
        left[corner] = False
        after[first], before[last] = last, first
        # The others' triangles are what they were, and hold the corners that they held, but for this one.
        for k in {first, last, *map(int, np.flatnonzero(left & (held == corner)))}:
            turns[k] = _turns(points[before[k]], points[k], points[after[k]])
            held[k] = _held(points, left, before[k], k, after[k])
    a, b, c = map(int, np.flatnonzero(left))
    return [*triangles, (a, b, c)]


def _held(points: np.ndarray, left: np.ndarray, before: int, at: int, after: int) -> int:
    """One of the corners that are left, within the triangle of a convex one and its neighbours, borders included.

    Returns:
      -1 if there is none, apart from corners in the same places as these three (bridges), or if the corner at `at`
      does not turn left.
    """
    triangle = points[[before, at, after]]
    if _turns(*triangle) <= 0:
        return -1
    inside = left.copy()
    for k in range(3):
        inside &= _turns(triangle[k], triangle[(k + 1) % 3], points) >= 0
        inside &= (points != triangle[k]).any(axis=1)
    return int(inside.argmax()) if inside.any() else -1
