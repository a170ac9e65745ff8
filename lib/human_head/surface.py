"""The surface of an area of the human head: subdivided skin, the inside of the mouth, eyeballs, teeth and tongue."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from lib.geometry.lengths import MILLIMETRES
from lib.human_head.area import in_area, seen_quads, smooth_border
from lib.human_head.chart import above_row, components, fitted, in_cell, upright
from lib.human_head.parts import (
    EYES,
    IRIS,
    PUPIL,
    RING_ANGLES,
    SECTORS,
    TEETH,
    TEETH_COLUMNS,
    TEETH_ROWS,
    BallPlacement,
    eyeball,
    teeth,
)
from lib.human_head.shipped import HumanHead
from lib.human_head.subdivision import Subdivision, mirrored_subdivision, subdivide

# Front edges of the teeth from where the lips end inside, mm.
TEETH_EDGE = {TEETH[0]: np.array([0.0, -2.0, -1.5]), TEETH[1]: np.array([0.0, 0.0, -4.0])}


@dataclass(frozen=True)
class Ball:
    """An eyeball: its rows of the surface, its vertices [n, 3] on a unit ball, its helper's vertices, its placement."""

    rows: slice
    unit: np.ndarray
    helper: np.ndarray
    placement: BallPlacement


@dataclass(frozen=True)
class Surface:
    """One mesh over the control vertices of the head.

    Attributes:
      matrix: [N, V] positions from control vertices; zero rows for eyeballs.
      balls: the eyeballs, the subject's right first.
      triangles: [F, 3] counter-clockwise from outside.
      uv: [N, 2]; mirror: [N].
      landmarks: [68]. At level 0, where edges have no middles, those between two vertices are at the nearer one of the
        shipped head's: up to 4.3 mm off at the brows. On a seam, the first of a vertex's copies counts: 41 and 46, at
        the lower lids, are on the islands behind the lids. Their places are right, but normals and masks there are not
        the skin's. With the copies on the skin, it would be another model, to which no shipped network belongs.
      regions: name -> [N] in [0, 1].
      origin: [N, 2] number of each vertex on the whole head, and of its place on the chart, the same in all areas of
        one level. A seam of the chart splits a vertex into several of one number.
    """

    matrix: scipy.sparse.csr_matrix
    balls: tuple[Ball, ...]
    triangles: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray
    landmarks: np.ndarray
    regions: dict[str, np.ndarray]
    origin: np.ndarray

    def mean(self, shape: np.ndarray) -> np.ndarray:
        """[N, 3] the mean head `shape` [V, 3] on this surface."""
        found = self.matrix @ shape
        for ball in self.balls:
            found[ball.rows] = ball.placement.centre + ball.placement.radius * ball.unit
        return found

    def displacements(self, basis: np.ndarray) -> np.ndarray:
        """[K, N, 3] displacements `basis` [K, V, 3] on this surface."""
        found = np.array([self.matrix @ move for move in basis])
        for ball in self.balls:
            found[:, ball.rows] = ball.placement.change(basis[:, ball.helper], ball.unit)
        return found


@dataclass(frozen=True)
class _Part:
    """A piece of the surface: [n, V] positions from control vertices, mesh, and the mirror index within the piece."""

    matrix: scipy.sparse.csr_matrix
    triangles: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray
    regions: dict[str, np.ndarray]


def build_surface(head: HumanHead, area: str = "face", level: int = 1) -> Surface:
    """Builds the surface of an area.

    Args:
      head: the shipped head.
      area: one of `lib.human_head.area.AREAS`.
      level: steps of subdivision of the skin; each has four times the vertices.
    """
    skin, landmarks, origin = _skin(head, area, level)
    parts = [skin, _tongue(head), *(_teeth(head, name) for name in TEETH), *(_eye(head, i) for i in range(2))]
    starts = np.cumsum([0] + [part.matrix.shape[0] for part in parts])
    right, left = (slice(starts[i], starts[i + 1]) for i in (-3, -2))
    mirror = np.concatenate([part.mirror + start for part, start in zip(parts, starts[:-1], strict=True)])
    mirror[right], mirror[left] = parts[-2].mirror + starts[-2], parts[-1].mirror + starts[-3]
    names = sorted({name for part in parts for name in part.regions})
    ball = eyeball().vertices
    return Surface(
        matrix=scipy.sparse.vstack([part.matrix for part in parts]).tocsr(),
        balls=tuple(
            Ball(rows, ball, head.helpers[name], BallPlacement.of(head.mean[head.helpers[name]]))
            for rows, name in zip((right, left), EYES, strict=True)
        ),
        triangles=np.concatenate([p.triangles + s for p, s in zip(parts, starts[:-1], strict=True)]).astype(np.int32),
        uv=np.concatenate([part.uv for part in parts]),
        mirror=mirror.astype(np.int32),
        landmarks=landmarks.astype(np.int32),
        regions={
            name: np.concatenate([p.regions.get(name, np.zeros(p.matrix.shape[0])) for p in parts]) for name in names
        },
        origin=np.concatenate([origin, np.stack([-1 - np.arange(starts[-1] - starts[1])] * 2, axis=1)]),
    )


def _skin(head: HumanHead, area: str, level: int) -> tuple[_Part, np.ndarray, np.ndarray]:
    """Subdivides the whole skin, so that areas agree, and keeps the quads of one area.

    Returns:
      The part, its landmarks [68], and the numbers [n, 2] of its vertices on the whole skin and its chart.
    """
    kept = seen_quads(head)
    quads, chart_quads, mirror = head.quads, head.chart_quads, head.mirror
    position = scipy.sparse.identity(len(head.mean), format="csr")
    flat = scipy.sparse.identity(len(head.chart), format="csr")
    landmarks = head.places["landmarks"][:, 0]
    for number in range(level):
        step, chart_step = subdivide(position.shape[0], quads), subdivide(flat.shape[0], chart_quads)
        mirror = mirrored_subdivision(step, quads, mirror)
        if number == 0:
            landmarks = _middles(step, head.places["landmarks"])
        position, flat = step.matrix @ position, chart_step.flat @ flat
        quads, chart_quads, kept = step.quads, chart_step.quads, np.repeat(kept, 4)
    kept &= in_area(head, area, quads, position @ head.mean, (flat @ head.masks["ears"])[chart_quads].mean(axis=1))
    kept &= kept[_images(quads, mirror)]
    position = smooth_border(area, quads, kept, quads, position.shape[0]) @ position
    flat = smooth_border(area, quads, kept, chart_quads, flat.shape[0]) @ flat
    # A vertex on a seam of the chart becomes one vertex on each side.
    pairs, corner = np.unique(quads.astype(np.int64) * flat.shape[0] + chart_quads, return_inverse=True)
    corner = corner.reshape(quads.shape)
    used, compact = np.unique(corner[kept], return_inverse=True)
    vertex, place = np.divmod(pairs[used], flat.shape[0])
    new = np.full(len(pairs), -1)
    new[used] = np.arange(len(used))
    matrix = position[vertex]
    shape = matrix @ head.mean
    island = components(flat.shape[0], chart_quads)[place]
    regions = {name: (flat @ mask)[place] for name, mask in head.masks.items()}
    landmarks = np.array([np.flatnonzero(vertex == marked)[0] for marked in landmarks])
    part = _Part(
        matrix,
        _triangles(compact.reshape(-1, 4), shape),
        _arranged((flat @ head.chart)[place], shape, island),
        new[_mirrored_corners(quads, mirror, corner, len(pairs))[used]],
        regions,
    )
    return part, landmarks, np.stack([vertex, place], axis=1)


def _middles(step: Subdivision, ends: np.ndarray) -> np.ndarray:
    """New vertices at the middles of edges with ends [M, 2]; equal ends mean the vertex itself."""
    number = {tuple(edge): i for i, edge in enumerate(step.edges.tolist())}
    count = step.matrix.shape[1]
    return np.array([a if a == b else count + number[min(a, b), max(a, b)] for a, b in ends.tolist()])


def _mirrored_corners(quads: np.ndarray, mirror: np.ndarray, corner: np.ndarray, count: int) -> np.ndarray:
    """[count] mirror image of each pair of place and texture coordinate, by the corners [Q, 4] of the quads."""
    image = _images(quads, mirror)
    swapped = (quads[image][:, None, :] == mirror[quads][:, :, None]).argmax(axis=2)
    found = np.zeros(count, np.int64)
    found[corner] = np.take_along_axis(corner[image], swapped, axis=1)
    return found


def _images(quads: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """[Q] mirror image of each quad."""
    number = {tuple(quad): i for i, quad in enumerate(np.sort(quads, axis=1).tolist())}
    return np.array([number[tuple(quad)] for quad in np.sort(mirror[quads], axis=1).tolist()])


def _triangles(quads: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """[F, 3] two triangles of each quad, cut along its shorter diagonal."""
    a, b, c, d = quads.T
    first = np.linalg.norm(shape[a] - shape[c], axis=1)
    second = np.linalg.norm(shape[b] - shape[d], axis=1)
    cut_first = (first <= second * (1 + 1e-6))[:, None]
    one = np.where(cut_first, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    two = np.where(cut_first, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.concatenate([one, two])


def _arranged(uv: np.ndarray, shape: np.ndarray, island: np.ndarray) -> np.ndarray:
    """[N, 2] the skin upright above the row of cells, its other islands in cells, from the image's left to right."""
    numbers, counts = np.unique(island, return_counts=True)
    main = numbers[counts.argmax()]
    arranged = np.zeros_like(uv)
    skin = island == main
    arranged[skin] = above_row(upright(uv[skin], shape[skin]))
    others = sorted((n for n in numbers if n != main), key=lambda n: shape[island == n, 0].mean())
    for number, name in enumerate(others):
        chosen = island == name
        arranged[chosen] = in_cell(fitted(uv[chosen]), f"island {number}")
    return arranged


def _tongue(head: HumanHead) -> _Part:
    """The upper side of the tongue, a control mesh already fine enough."""
    a, b, c, d = (head.mean[head.tongue_quads[:, i]] for i in range(4))
    quads = head.tongue_quads[np.cross(c - a, d - b) @ (0, 0.8, 0.6) > 0]
    vertices, compact = np.unique(quads, return_inverse=True)
    new = np.full(len(head.mean), -1)
    new[vertices] = np.arange(len(vertices))
    shape = head.mean[vertices]
    return _Part(
        _rows(vertices, len(head.mean)),
        _triangles(compact.reshape(-1, 4), shape),
        in_cell(fitted(shape[:, [0, 2]]), "tongue"),
        new[head.mirror[vertices]],
        {"mouth_inside": np.ones(len(vertices)), "tongue": np.ones(len(vertices))},
    )


def _teeth(head: HumanHead, name: str) -> _Part:
    """A row of teeth, which moves with its helper as an affine map of the helper's vertices does."""
    is_upper = name == TEETH[0]
    part = teeth(is_upper)
    helper = head.mean[head.helpers[name]]
    edge = head.mean[head.places["lips_inside"][0 if is_upper else 1]] + TEETH_EDGE[name] / MILLIMETRES
    shape = edge * (0, 1, 1) + part.vertices / MILLIMETRES
    middle = helper.mean(axis=0)
    system, wanted = (np.column_stack([points - middle, np.ones(len(points))]) for points in (helper, shape))
    weights = wanted @ np.linalg.pinv(system)
    is_tooth = np.repeat(np.linspace(0, 1, TEETH_ROWS) > 0.3, TEETH_COLUMNS)
    return _Part(
        scipy.sparse.csr_matrix(weights) @ _rows(head.helpers[name], len(head.mean)),
        part.triangles,
        in_cell(part.uv, "teeth", (0.52, 1.0) if is_upper else (0.0, 0.48)),
        part.mirror,
        {"mouth_inside": np.ones(len(shape)), "teeth": 1.0 * is_tooth},
    )


def _eye(head: HumanHead, number: int) -> _Part:
    """An eyeball; its rows of the matrix are empty."""
    ball = eyeball()
    angle = np.concatenate([[0.0], np.repeat(RING_ANGLES, SECTORS)])
    return _Part(
        scipy.sparse.csr_matrix((len(angle), len(head.mean))),
        ball.triangles,
        in_cell(ball.uv, f"eye {number}"),
        ball.mirror,
        {"eye": np.ones(len(angle)), "iris": 1.0 * (angle <= IRIS), "pupil": 1.0 * (angle <= PUPIL)},
    )


def _rows(vertices: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """[len(vertices), count] matrix that selects vertices."""
    own = np.arange(len(vertices))
    return scipy.sparse.csr_matrix((np.ones(len(vertices)), (own, vertices)), (len(vertices), count))
