"""Lips that touch at rest: a linear operator that keeps both lip lines together, whatever a slider does to each."""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.human_head.building.control_mesh import ControlMesh
from lib.human_head.subdivision import subdivide

REACH = 0.045  # dm: how far the correction fades into the lips
CORNER = 0.03  # dm beyond the contact lines, where it fades into the corners of the mouth
OVERLAP = 0.003  # dm by which the lips of the mean head press into each other


class LipContact:
    """The height of the gap between the lips, and how to close it.

    Args:
      mesh: the control mesh.
      upper, lower: control vertices along the contact of each lip, from the subject's right to the left corner.
    """

    def __init__(self, mesh: ControlMesh, upper: np.ndarray, lower: np.ndarray):
        count = len(mesh.vertices)
        smooth = subdivide(count, mesh.quads).matrix[:count]
        position = smooth @ mesh.vertices
        low, high = position[upper, 0].min() - CORNER, position[upper, 0].max() + CORNER
        middle = 0.5 * (position[upper, 1].mean() + position[lower, 1].mean())
        near = np.abs(position[:, 1] - middle) < 3 * REACH
        near &= (position[:, 0] > low) & (position[:, 0] < high)
        near &= position[:, 2] > position[upper, 2].min() - 3 * REACH
        near[np.concatenate(list(mesh.helpers.values()))] = False
        self._rows = np.flatnonzero(near)
        x = position[self._rows, 0]
        lines = [_interpolation(x, position[line, 0], line, count) @ smooth for line in (upper, lower)]
        self._gap = (lines[0] - lines[1]).tocsr()
        line = np.stack([row @ position[:, 1] for row in lines])
        above = position[self._rows, 1] - line.mean(axis=0)
        side = np.where(_belongs_above(mesh, upper, lower, self._rows), 1.0, -1.0)
        corner = np.clip(np.minimum(x - low, high - x) / CORNER, 0, 1)
        self._share = -0.5 * side * corner * np.exp(-((np.abs(above) / REACH) ** 2))

    def gap(self, shape: np.ndarray) -> np.ndarray:
        """Height of the gap [R] at the vertices near the lips of a shape [V, 3], or its change by a displacement."""
        return self._gap @ shape[..., 1]

    def closed(self, moves: np.ndarray, offset: float = 0.0) -> np.ndarray:
        """Displacements [..., V, 3] without their part that opens the lips, or a shape whose gap becomes -`offset`."""
        moved = np.array(moves, np.float64)
        flat = moved.reshape(-1, *moved.shape[-2:])
        for move in flat:
            move[self._rows, 1] += self._share * (self.gap(move) + offset)
        return flat.reshape(moved.shape)


def _interpolation(x: np.ndarray, nodes: np.ndarray, vertices: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """[len(x), count] linear interpolation in x between vertices at increasing `nodes`."""
    right = np.clip(np.searchsorted(nodes, x), 1, len(nodes) - 1)
    share = np.clip((x - nodes[right - 1]) / (nodes[right] - nodes[right - 1]), 0, 1)
    own = np.arange(len(x))
    return scipy.sparse.csr_matrix(
        (
            np.concatenate([1 - share, share]),
            (np.concatenate([own, own]), vertices[np.concatenate([right - 1, right])]),
        ),
        (len(x), count),
    )


def _belongs_above(mesh: ControlMesh, upper: np.ndarray, lower: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[R] bool: vertices nearer, along the surface, to the upper contact than to the lower one."""
    count = len(mesh.vertices)
    ends = np.roll(mesh.quads, -1, axis=1).ravel()
    starts = mesh.quads.ravel()
    length = np.linalg.norm(mesh.vertices[starts] - mesh.vertices[ends], axis=1)
    graph = scipy.sparse.csr_matrix((length, (starts, ends)), (count, count))
    found = [
        scipy.sparse.csgraph.dijkstra(graph, directed=False, indices=line, min_only=True) for line in (upper, lower)
    ]
    return found[0][rows] < found[1][rows]
