"""Mirrored vertices and a texture chart for face models that are published without."""

import numpy as np
import scipy.spatial

MIRROR_TOLERANCE = 0.03  # dm: vertices farther from their mirrored place than this have no partner


def mirror_by_position(shape: np.ndarray, tolerance: float = MIRROR_TOLERANCE) -> np.ndarray:
    """[N] the vertex at the mirrored place of each, itself where there is none.

    Two vertices are partners when each is the other's nearest after mirroring, so the map is an involution also on
    meshes that are only nearly symmetric, as scans are.

    Args:
      shape: [N, 3], the plane of symmetry at x = 0.
      tolerance: largest distance between a vertex and the mirrored place of its partner.
    """
    distance, nearest = scipy.spatial.cKDTree(shape).query(shape * [-1.0, 1.0, 1.0])
    own = np.arange(len(shape))
    mutual = (nearest[nearest] == own) & (distance < tolerance)
    mutual &= mutual[nearest]
    return np.where(mutual, nearest, own)


def mirror_by_connection(shape: np.ndarray, triangles: np.ndarray) -> np.ndarray | None:
    """[N] as `mirror_by_position`, but exact where the mesh is its own mirror image by its connections.

    Closed lips lie on each other, and each vertex's nearest may be one of the other lip; connections tell them apart.
    From one edge and its mirrored edge the map follows triangle by triangle.

    Args:
      shape: [N, 3], the plane of symmetry at x = 0 as nearly as a mean of scans has it.
      triangles: [F, 3].

    Returns:
      None where connections are not symmetric, or lead to places that are not mirrored.
    """
    # An edge, in the winding of its triangle, to the triangle's third vertex.
    across: dict[tuple[int, int], int] = {}
    for a, b, c in triangles.tolist():
        across |= {(a, b): c, (b, c): a, (c, a): b}
    _, nearest = scipy.spatial.cKDTree(shape).query(shape * [-1.0, 1.0, 1.0])
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
            continue  # both at the border
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
    """[N] the mirrored vertex of each from pairs [P, 2]; a vertex in no pair is its own mirror.

    Raises:
      ValueError: a vertex is in two different pairs.
    """
    mirror = np.arange(count)
    mirror[pairs[:, 0]] = pairs[:, 1]
    mirror[pairs[:, 1]] = pairs[:, 0]
    wrong = int((mirror[mirror] != np.arange(count)).sum())
    if wrong:
        raise ValueError(f"every vertex must be in one pair at most, got {wrong} in several")
    return mirror


def cylindrical_chart(shape: np.ndarray) -> np.ndarray:
    """[N, 2] texture coordinates in [0, 1], v upwards: angle about an upright axis behind the face, and height.

    Args:
      shape: [N, 3] dm, y up, z towards the camera, centred on the origin.
    """
    behind = shape[:, 2].min()
    angle = np.arctan2(shape[:, 0], shape[:, 2] - behind + 0.3)
    chart = np.stack([angle, shape[:, 1]], axis=-1)
    low, high = chart.min(axis=0), chart.max(axis=0)
    return 0.01 + 0.98 * (chart - low) / np.maximum(high - low, 1e-9)
