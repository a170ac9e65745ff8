"""The surface of an area of the human head: subdivided skin, the inside of the mouth, eyeballs, teeth and tongue."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

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

AREAS = ("face", "ears", "head")
MILLIMETRES = 100.0  # per decimetre
SOCKET_RINGS = 1  # of quads behind the rims of the lids; the rest of the socket is never seen
MOUTH_DEPTH = 0.5  # dm behind the lips, where the inside of the mouth ends
# The face ends here: degrees round a vertical axis 80 mm behind the eyes, and mm above and below the tip of the nose.
_EXTENT = {"face": (92.0, 97.0, -93.0), "ears": (128.0, 104.0, -98.0)}
_AXIS = 0.80  # dm behind the eyes
_SLOPE = 0.45  # of the border under the jaw, upwards to the back
_SMOOTHING = 12  # rounds in which quads at the border follow the majority of their neighbours
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
      landmarks: [68].
      regions: name -> [N] in [0, 1].
    """

    matrix: scipy.sparse.csr_matrix
    balls: tuple[Ball, ...]
    triangles: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray
    landmarks: np.ndarray
    regions: dict[str, np.ndarray]

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
      area: one of `AREAS`.
      level: steps of subdivision of the skin; each has four times the vertices.
    """
    skin, landmarks = _skin(head, area, level)
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
    )


def _skin(head: HumanHead, area: str, level: int) -> tuple[_Part, np.ndarray]:
    """Subdivides the whole skin, so that areas agree, and keeps the quads of one area; also the landmarks [68]."""
    kept = _seen_quads(head)
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
    kept &= _in_area(head, area, quads, position @ head.mean, (flat @ head.masks["ears"])[chart_quads].mean(axis=1))
    kept &= kept[_images(quads, mirror)]
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
    return part, landmarks


def _middles(step: Subdivision, ends: np.ndarray) -> np.ndarray:
    """New vertices at the middles of edges with ends [M, 2]; equal ends mean the vertex itself."""
    number = {tuple(edge): i for i, edge in enumerate(step.edges.tolist())}
    count = step.matrix.shape[1]
    return np.array([a if a == b else count + number[min(a, b), max(a, b)] for a, b in ends.tolist()])


def _seen_quads(head: HumanHead) -> np.ndarray:
    """[Q] bool: control quads without the back of the mouth's inside and of the sockets, which nothing shows."""
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


def _in_area(head: HumanHead, area: str, quads: np.ndarray, shape: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """[Q] bool: quads of an area of the head, in one piece with a border without notches.

    Args:
      head: the head.
      area: one of `AREAS`.
      quads: [Q, 4], subdivided; shape: [N, 3] their vertices on the mean head.
      ears: [Q] weight of the ears.
    """
    if area not in _EXTENT:
        return np.ones(len(quads), bool)
    angle, above, below = _EXTENT[area]
    middle = shape[quads].mean(axis=1)
    nose = head.mean[head.places["landmarks"][30, 0]]
    axis = np.mean([head.mean[head.helpers[name]].mean(axis=0) for name in EYES], axis=0) - (0, 0, _AXIS)
    azimuth = np.degrees(np.arctan2(np.abs(middle[:, 0]), middle[:, 2] - axis[2]))
    height = MILLIMETRES * (middle[:, 1] - nose[1])
    kept = (azimuth < angle) & (height < above)
    if area == "face":
        # Under the jaw the face ends on a slope that leaves the neck out.
        below += _SLOPE * np.clip(MILLIMETRES * (nose[2] - middle[:, 2]) - 25, 0, None)
        kept &= ears < 0.5
    kept &= height > below
    beside = _neighbours(quads)
    for _ in range(_SMOOTHING):
        share = beside @ kept / np.maximum(np.asarray(beside.sum(axis=1)).ravel(), 1)
        kept = np.where(np.abs(share - 0.5) < 0.01, kept, share > 0.5)
    pieces = scipy.sparse.csgraph.connected_components(beside[kept][:, kept], directed=False)[1]
    kept[np.flatnonzero(kept)[pieces != np.bincount(pieces).argmax()]] = False
    return kept


def _neighbours(quads: np.ndarray) -> scipy.sparse.csr_matrix:
    """[Q, Q] ones where two quads share an edge."""
    edges = np.sort(np.stack([quads.ravel(), np.roll(quads, -1, axis=1).ravel()], axis=1), axis=1)
    _, edge = np.unique(edges, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(quads)), 4)
    incidence = scipy.sparse.csr_matrix((np.ones(len(owner)), (edge.ravel(), owner)))
    beside = (incidence.T @ incidence - 4 * scipy.sparse.identity(len(quads))).tocsr()
    beside.eliminate_zeros()
    return beside


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
