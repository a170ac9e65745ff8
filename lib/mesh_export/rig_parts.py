"""The parts of a head that a rig moves apart from the skin: eyeballs, teeth and tongue."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.geometry.sphere import fit_sphere

FACE, EYES, TEETH, TONGUE = "face", ("eyeRight", "eyeLeft"), "teeth", "tongue"
PRESENT = 0.5  # a piece of the mesh belongs to a region with this mean weight
WELD = 1e-5  # dm: vertices closer than this are the same point on two sides of a seam of the chart


@dataclass(frozen=True)
class HeadPart:
    """A part of a mesh.

    Attributes:
      name: "face", "eyeLeft" and "eyeRight" (the subject's), "teeth" or "tongue".
      triangles: [P] rows of the mesh's triangles.
      round: [V] vertices on the ball of an eye, without the bulge of the cornea; empty for other parts.
    """

    name: str
    triangles: np.ndarray
    round: np.ndarray


def head_parts(shape: np.ndarray, triangles: np.ndarray, regions: Mapping[str, np.ndarray]) -> list[HeadPart]:
    """Splits a mesh into the parts it consists of; a mesh in one piece, or without such regions, is all face.

    Args:
      shape: [N, 3] mean shape, dm, x to the subject's left.
      triangles: [F, 3].
      regions: of the face model; "eye", "iris", "mouth_inside" and "teeth" are used.
    """
    none = np.zeros(len(shape))
    eye, iris, inside, teeth = (regions.get(name, none) for name in ("eye", "iris", "mouth_inside", "teeth"))
    piece = _pieces(shape, triangles)
    count = piece.max() + 1
    size = np.bincount(piece, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(piece, values, count) / size

    place = mean(shape[:, 0])
    is_eye, is_inside, has_teeth = mean(eye) > PRESENT, mean(inside) > PRESENT, mean(teeth) > 0
    kinds = np.full(count, FACE, object)
    kinds[is_inside & ~has_teeth] = TONGUE
    kinds[is_inside & has_teeth] = TEETH
    for name, side in zip(EYES, (place < 0, place > 0), strict=True):
        kinds[is_eye & side] = name
    kinds[size.argmax()] = FACE
    kind = kinds[piece]
    parts = []
    for name in (FACE, *EYES, TEETH, TONGUE):
        rows = np.flatnonzero(kind[triangles[:, 0]] == name)
        if len(rows):
            ball = np.flatnonzero((kind == name) & (iris == 0)) if name in EYES else np.zeros(0, np.int64)
            parts.append(HeadPart(name, rows, ball))
    return parts


def ball_centre(points: np.ndarray) -> np.ndarray:
    """[3] float64 centre of an eye's ball, from its vertices [V, 3] in `HeadPart.round`."""
    return fit_sphere(np.asarray(points, np.float64))[0]


def _pieces(shape: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N] number of the connected piece of each vertex; seams of the chart, where vertices are doubled, connect."""
    _, point = np.unique(np.rint(shape / WELD).astype(np.int64), axis=0, return_inverse=True)
    point = point.ravel()
    corners = point[triangles]
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]]])
    graph = scipy.sparse.coo_matrix((np.ones(len(ends)), ends.T), (point.max() + 1,) * 2)
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1][point]
