"""The quads of the head that belong to an area of it."""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.geometry.lengths import MILLIMETRES
from lib.human_head.parts import EYES
from lib.human_head.shipped import HumanHead

AREAS = ("face", "ears", "head")
SOCKET_RINGS = 1  # of quads behind the rims of the lids; the rest of the socket is never seen
MOUTH_DEPTH = 0.5  # dm behind the lips, where the inside of the mouth ends
# The face ends here: degrees round a vertical axis 80 mm behind the eyes, and mm above and below the tip of the nose.
_EXTENT = {"face": (92.0, 97.0, -93.0), "ears": (128.0, 104.0, -98.0)}
_AXIS = 0.80  # dm behind the eyes
# The neck ends above the ragged edge of the control mesh: mm above the tip of the nose where it is 92 mm behind it, and
# slope upwards to the back.
_NECK = (-86.0, 0.25)
_SLOPE = 0.45  # of the border under the jaw, upwards to the back
_SMOOTHING = 12  # rounds in which quads at the border follow the majority of their neighbours
# Rounds in which vertices of the border move towards their neighbours along it; the quads of the neck are large.
_BORDER_SMOOTHING = {"face": 8, "ears": 8, "head": 60}


def seen_quads(head: HumanHead) -> np.ndarray:
    """[Q] bool: control quads without the back of the mouth's inside and of the sockets, which is never visible."""
    inside = head.masks["mouth_inside"][head.chart_quads].mean(axis=1) > 0.5
    lips = head.mean[head.places["landmarks"][62, 0], 2]
    kept = ~inside | (head.mean[head.quads].mean(axis=1)[:, 2] > lips - MOUTH_DEPTH)
    socket = head.masks["sockets"][head.chart_quads].mean(axis=1) > 0.5
    near = np.zeros(len(head.mean), bool)
    near[np.unique(head.quads[~socket])] = True
    for _ in range(SOCKET_RINGS):
        ring = socket & near[head.quads].any(axis=1)
        near[head.quads[ring]] = True
    return kept & (~socket | near[head.quads].all(axis=1))


def in_area(head: HumanHead, area: str, quads: np.ndarray, shape: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """[Q] bool: quads of an area of the head, in one piece with a border without notches.

    Args:
      head: the head.
      area: one of `AREAS`.
      quads: [Q, 4], subdivided; shape: [N, 3] their vertices on the mean head.
      ears: [Q] weight of the ears.
    """
    middle = shape[quads].mean(axis=1)
    nose = head.mean[head.places["landmarks"][30, 0]]
    height, behind = (MILLIMETRES * (middle[:, 1] - nose[1]), MILLIMETRES * (nose[2] - middle[:, 2]))
    if area == "head":
        kept = height > _NECK[0] + _NECK[1] * (behind - 92)
    else:
        angle, above, below = _EXTENT[area]
        axis = np.mean([head.mean[head.helpers[name]].mean(axis=0) for name in EYES], axis=0) - (0, 0, _AXIS)
        azimuth = np.degrees(np.arctan2(np.abs(middle[:, 0]), middle[:, 2] - axis[2]))
        kept = (azimuth < angle) & (height < above)
        if area == "face":
            # Under the jaw the face ends on a slope that leaves the neck out.
            below += _SLOPE * np.clip(behind - 25, 0, None)
            kept &= ears < 0.5
        kept &= height > below
    adjacent = _neighbours(quads)
    for _ in range(_SMOOTHING):
        share = adjacent @ kept / np.maximum(np.asarray(adjacent.sum(axis=1)).ravel(), 1)
        kept = np.where(np.abs(share - 0.5) < 0.01, kept, share > 0.5)
    pieces = scipy.sparse.csgraph.connected_components(adjacent[kept][:, kept], directed=False)[1]
    kept[np.flatnonzero(kept)[pieces != np.bincount(pieces).argmax()]] = False
    return kept


def smooth_border(
    area: str, quads: np.ndarray, kept: np.ndarray, corners: np.ndarray, count: int
) -> scipy.sparse.csr_matrix:
    """[N, N] matrix that straightens the border an area was cut along, and leaves all other vertices where they are.

    Quads are cut in steps, so that the border would be a saw. The edges of holes that the whole mesh has stay.

    Args:
      area: one of `AREAS`.
      quads: [Q, 4] the whole mesh; kept: [Q] bool, the quads of the area.
      corners: [Q, 4] the same quads over the vertices to move: of the mesh itself or of its texture chart.
      count: N, the number of those vertices, including any that no quad uses.
    """
    edges = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    _, edge = np.unique(edges, axis=0, return_inverse=True)
    edge = edge.ravel()
    sides, kept_sides = np.bincount(edge), np.bincount(edge, np.repeat(kept, 4))
    cut = np.repeat(kept, 4) & ((sides == 2) & (kept_sides == 1))[edge]
    ends = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)[cut]
    along = scipy.sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    along = (along + along.T).tocsr()
    # Where the border ends at a seam of the chart, or touches itself, it stays.
    moves = np.asarray(along.sum(axis=1)).ravel() == 2
    step = scipy.sparse.diags(np.where(moves, 0.25, 0.0)) @ along + scipy.sparse.diags(np.where(moves, 0.5, 1.0))
    result = scipy.sparse.identity(count, format="csr")
    for _ in range(_BORDER_SMOOTHING[area]):
        result = step @ result
    return result.tocsr()


def _neighbours(quads: np.ndarray) -> scipy.sparse.csr_matrix:
    """[Q, Q] ones where two quads share an edge."""
    edges = np.sort(np.stack([quads.ravel(), np.roll(quads, -1, axis=1).ravel()], axis=1), axis=1)
    _, edge = np.unique(edges, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(quads)), 4)
    incidence = scipy.sparse.csr_matrix((np.ones(len(owner)), (edge.ravel(), owner)))
    adjacent = (incidence.T @ incidence - 4 * scipy.sparse.identity(len(quads))).tocsr()
    adjacent.eliminate_zeros()
    return adjacent
