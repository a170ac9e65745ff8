"""Mirror indices and texture charts for face models published without them."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MIRROR_TOLERANCE = 0.03  # dm: maximum distance between a vertex's mirrored position and its partner


def mirror_by_position(shape: np.ndarray, tolerance: float = MIRROR_TOLERANCE) -> np.ndarray:
    """Mirror index [N] by position: the vertex at the mirrored position of each vertex, or the vertex itself if none.

    Two vertices are partners if each is the other's nearest after mirroring, so the map is an involution even on meshes
    that are only approximately symmetric, such as scans.

    Args:
      shape: [N, 3], plane of symmetry at x = 0.
      tolerance: maximum distance between a vertex and the mirrored position of its partner.
    """
    distance, nearest = _tree(shape).query(shape * [-1.0, 1.0, 1.0])
    own = np.arange(len(shape))
    mutual = (nearest[nearest] == own) & (distance < tolerance)
    mutual &= mutual[nearest]
    return np.where(mutual, nearest, own)


def mirror_by_connection(shape: np.ndarray, triangles: np.ndarray) -> np.ndarray | None:
    """Mirror index [N] by topology; exact if the connectivity of the mesh is symmetric.

    Closed lips touch, so the nearest vertex may belong to the other lip; connectivity distinguishes them. Starting from
    an edge and its mirrored edge, the map is extended triangle by triangle.

    Args:
      shape: [N, 3], plane of symmetry at x = 0, as closely as in a mean of scans.
      triangles: [F, 3].

    Returns:
      [N], or None if the connectivity is not symmetric or maps vertices to positions that are not mirrored.
    """
    # Directed edge -> third vertex of its triangle.
    across: dict[tuple[int, int], int] = {}
    for a, b, c in triangles.tolist():
        across |= {(a, b): c, (b, c): a, (c, a): b}
    _, nearest = _tree(shape).query(shape * [-1.0, 1.0, 1.0])
    apart = np.linalg.norm(shape * [-1.0, 1.0, 1.0] - shape[nearest], axis=1)
    seeds = [(a, b) for a, b in across if (nearest[b], nearest[a]) in across]
    if not seeds:
        return None
    first = min(seeds, key=lambda edge: apart[edge[0]] + apart[edge[1]])
    mirror = np.full(len(shape), -1)
    mirror[list(first)] = nearest[list(first)]
    waiting, done = [first], set()
    while waiting:
        a, b = edge = waiting.pop()
        if edge in done:
            continue
        done.add(edge)
        third, image = across.get(edge), across.get((mirror[b], mirror[a]))
        if third is None and image is None:
            continue  # both edges are at the border
        if third is None or image is None or mirror[third] not in (-1, image):
            return None
        mirror[third] = image
        waiting += [(b, third), (third, b), (third, a), (a, third)]
    own = np.arange(len(shape))
    if (mirror < 0).any() or (mirror[mirror] != own).any():
        return None
    far = np.linalg.norm(shape * [-1.0, 1.0, 1.0] - shape[mirror], axis=1) > MIRROR_TOLERANCE
    return None if far.any() else mirror


def mirror_from_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    """Mirror index [N] from pairs [P, 2]; a vertex in no pair is its own mirror.

    Raises:
      ValueError: a vertex is in several different pairs.
    """
    mirror = np.arange(count)
    mirror[pairs[:, 0]] = pairs[:, 1]
    mirror[pairs[:, 1]] = pairs[:, 0]
    wrong = int((mirror[mirror] != np.arange(count)).sum())
    if wrong:
        raise ValueError(f"every vertex must be in one pair at most, got {wrong} vertices in several")
    return mirror


def cylindrical_chart(shape: np.ndarray) -> np.ndarray:
    """Cylindrical texture coordinates [N, 2] in [0, 1], v up: angle about a vertical axis behind the face, and height.

    Args:
      shape: [N, 3] dm, y up, z towards the camera, centred on the origin.
    """
    behind = shape[:, 2].min()
    angle = np.arctan2(shape[:, 0], shape[:, 2] - behind + 0.3)
    chart = np.stack([angle, shape[:, 1]], axis=-1)
    low, high = chart.min(axis=0), chart.max(axis=0)
    return 0.01 + 0.98 * (chart - low) / np.maximum(high - low, 1e-9)


def _tree(points: np.ndarray) -> "cKDTree":
    from scipy.spatial import cKDTree  # slow to import, and needed only to convert face models

    return cKDTree(points)
