"""Catmull-Clark subdivision of a quad mesh as one sparse matrix, for positions and displacements alike."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse


@dataclass(frozen=True)
class Subdivision:
    """One step of subdivision; every quad becomes four.

    The new vertices are the old ones, moved, in their order, then one for each edge, then one for each quad.

    Attributes:
      matrix: [M, N] weights for positions (Catmull and Clark 1978); borders become B-splines.
      flat: [M, N] weights that keep corners and edges where they are, for texture coordinates.
      quads: [4 Q, 4]; the four children of quad q are 4 q ... 4 q + 3.
      edges: [E, 2] the edges in the order of their vertices, smaller vertex first.
    """

    matrix: scipy.sparse.csr_matrix
    flat: scipy.sparse.csr_matrix
    quads: np.ndarray
    edges: np.ndarray


def subdivide(count: int, quads: np.ndarray) -> Subdivision:
    """Subdivides the mesh of `quads` [Q, 4] over `count` vertices."""
    quad_count = len(quads)
    starts, ends = quads.ravel(), np.roll(quads, -1, axis=1).ravel()
    edges, edge_of = np.unique(np.sort(np.stack([starts, ends], 1), axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(quad_count, 4)
    edge_count = len(edges)
    rows = np.repeat(np.arange(quad_count), 4)
    to_quads = scipy.sparse.csr_matrix((np.full(4 * quad_count, 0.25), (rows, quads.ravel())), (quad_count, count))
    pairs = np.repeat(np.arange(edge_count), 2)
    to_middles = scipy.sparse.csr_matrix((np.full(2 * edge_count, 0.5), (pairs, edges.ravel())), (edge_count, count))
    quads_at_edge = _incidence(edge_of, edge_count)
    is_border = np.asarray(quads_at_edge.sum(1)).ravel() < 2
    inner = scipy.sparse.diags(np.where(is_border, 0.0, 0.5))
    border = scipy.sparse.diags(np.where(is_border, 1.0, 0.5))
    to_edges = border @ to_middles + inner @ (quads_at_edge @ to_quads) * 0.5
    to_vertices = _vertex_rule(count, quads, edges, is_border, to_quads, to_middles)
    matrix = scipy.sparse.vstack([to_vertices, to_edges, to_quads]).tocsr()
    flat = scipy.sparse.vstack([scipy.sparse.identity(count), to_middles, to_quads]).tocsr()
    edge_vertex, quad_vertex = count + edge_of, count + edge_count + np.arange(quad_count)
    children = [
        np.stack([quads[:, i], edge_vertex[:, i], quad_vertex, edge_vertex[:, i - 1]], axis=1) for i in range(4)
    ]
    return Subdivision(matrix, flat, np.stack(children, axis=1).reshape(-1, 4), edges)


def _incidence(members: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """[count, R] ones where row r of `members` [R, 4] names an element."""
    rows = np.repeat(np.arange(len(members)), 4)
    return scipy.sparse.csr_matrix((np.ones(members.size), (members.ravel(), rows)), (count, len(members)))


def _vertex_rule(count, quads, edges, is_border, to_quads, to_middles) -> scipy.sparse.csr_matrix:
    """[N, N] new positions of the old vertices: (F + 2 R + (n - 3) P) / n inside, 1/8, 6/8, 1/8 along borders."""
    quads_at = _incidence(quads, count)
    ends = np.repeat(np.arange(len(edges)), 2)
    edges_at = scipy.sparse.csr_matrix((np.ones(2 * len(edges)), (edges.ravel(), ends)), (count, len(edges)))
    valence = np.maximum(np.asarray(edges_at.sum(1)).ravel(), 1)
    quad_mean = scipy.sparse.diags(1 / np.maximum(np.asarray(quads_at.sum(1)).ravel(), 1)) @ quads_at @ to_quads
    edge_mean = scipy.sparse.diags(1 / valence) @ edges_at @ to_middles
    own = scipy.sparse.diags((valence - 3) / valence)
    inside = scipy.sparse.diags(1 / valence) @ (quad_mean + 2 * edge_mean) + own
    border_edges = edges_at @ scipy.sparse.diags(is_border.astype(float))
    at_border = np.asarray(border_edges.sum(1)).ravel()
    along = 0.25 * (border_edges @ to_middles) + 0.5 * scipy.sparse.identity(count)
    # A vertex where several borders meet, or in no quad, stays.
    kind = np.where(at_border == 0, 0, np.where(at_border == 2, 1, 2))
    kind[np.asarray(edges_at.sum(1)).ravel() == 0] = 2
    return sum(
        scipy.sparse.diags((kind == k).astype(float)) @ rule
        for k, rule in enumerate((inside, along, scipy.sparse.identity(count)))
    ).tocsr()


def mirrored_subdivision(step: Subdivision, quads: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Mirror index [M] of the new vertices.

    Args:
      step: the subdivision of `quads`.
      quads: [Q, 4] the old quads.
      mirror: [N] mirrored vertex of each old vertex; quads map to quads.
    """
    count = len(mirror)
    images = np.sort(mirror[step.edges], axis=1)
    edges = count + _rows_in(step.edges, images)
    faces = count + len(step.edges) + _rows_in(np.sort(quads, axis=1), np.sort(mirror[quads], axis=1))
    return np.concatenate([mirror, edges, faces])


def _rows_in(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Index in `table` [T, k] of each of `rows` [R, k]; both hold sorted rows.

    Raises:
      ValueError: a row is not in the table.
    """
    number = {tuple(row): i for i, row in enumerate(table.tolist())}
    try:
        return np.array([number[tuple(row)] for row in rows.tolist()])
    except KeyError as error:
        raise ValueError(f"the mesh must be symmetric, got no mirror image of the vertices {error}") from error
