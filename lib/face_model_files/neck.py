"""The neck of a whole head: continued down to a level base, and closed from below, where one would look into it.

The control mesh ends in a ragged border close under the jaw; cut there, a head looks as if it were cut off.
"""

import dataclasses
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import scipy.spatial

from lib.face_model.face_model import FaceModel
from lib.face_model_files.fans import borders, with_fan
from lib.geometry.smoothstep import smoothstep
from lib.human_head.chart import MARGIN, ROW
from lib.mesh_export.texture_fill import edge_laplacian, neighbour_mean
from lib.mesh_export.uv_chart import UvChart

Model = TypeVar("Model", bound=FaceModel)

# The base is this far [dm] below the middle of the border, behind the border by this much for each dm that it is lower,
# and wider than the border by these factors across and along the line of sight.
_DROP, _LEAN, _WIDER = 0.62, 0.2, (1.10, 1.05)
# Length of a row of the new mesh, in edges of the border.
_ROW = 1.5
# The surface leaves the border in its own direction, and arrives at the base downwards, for about these shares of the
# way (tangents of a cubic Hermite curve, as shares of its length).
_LEAVING, _ARRIVING = 1.4, 0.6
# Rounds in which directions at the border follow those of their neighbours along it.
_SMOOTHING = 6
# Where the neck begins, the mesh is smoothed, this many rounds and up to this many edges away.
_RELAXED, _AROUND = 12, 5
# The control mesh has the neck of a slender body: 302 mm around the mean head, where women have 325 mm and men 380 mm.
# It is wider by this factor from the second height [dm] above the middle of the border downwards, not wider above the
# first, and reaches that width this far [dm] from the vertices that stay.
_GIRTH, _WIDENS, _CLEAR = 1.16, (0.55, -0.15), 0.35
# Height on the chart of the triangles that close the neck.
_FAN = 0.012
# Share of the way on which hair and other regions of the border end.
_FADED = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class _Border:
    """The lowest border of a mesh, a closed loop of B edges.

    Attributes:
      ends: [B, 2] chart vertices of its edges, in the direction of their triangles.
      loop: [B] mesh vertices along it; begins at the back and goes to the front over negative x.
    """

    ends: np.ndarray
    loop: np.ndarray

    @classmethod
    def of(cls, model: FaceModel, chart: UvChart) -> "_Border":
        """The border; cuts of the chart do not count."""
        corners = chart.triangles
        ends = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
        edges = chart.vertex[ends]
        border = _lowest_border(model, edges)
        following = {int(begin): int(end) for begin, end in edges[border]}
        loop = [int(edges[border][model.mean_shape[edges[border, 0], 2].argmin(), 0])]
        while (vertex := following[loop[-1]]) != loop[0] and len(loop) <= len(border):
            loop.append(vertex)
        if len(loop) != len(border):
            raise ValueError(f"the lowest border must be one loop of {len(border)} edges, got one of {len(loop)}")
        if model.mean_shape[loop[len(loop) // 4], 0] > 0:
            loop = [loop[0], *loop[:0:-1]]
        return cls(ends[border], np.array(loop))


def with_neck(model: Model, chart: UvChart, fixed: int) -> tuple[Model, UvChart]:
    """A head with a longer neck that is closed from below; its new vertices are the last ones.

    The neck is linear in the border and the vertices beside it, so it follows the identity; the base does not follow
    expressions. On the chart, it is a strip of its own between the skin and the row of islands.

    Args:
      model: with N vertices.
      chart: its texture chart.
      fixed: number of vertices, the first ones, that stay where they are; others near the border are smoothed.

    Raises:
      ValueError: the mesh has no lowest border that is a loop, or the chart has no space.
    """
    loop = _Border.of(model, chart).loop
    longer, chart = _lengthened(model, chart, loop)
    relax = _relaxation(longer, loop, fixed)
    shape, axis = relax @ longer.mean_shape, longer.mean_shape[loop].mean(axis=0)
    wider = _wider(shape, axis, fixed)
    bases: dict[str, Any] = {
        name: np.stack([wider * (relax @ mode) for mode in getattr(longer, name)]).astype(np.float32)
        for name in ("identity_basis", "expression_basis")
    }
    longer = dataclasses.replace(longer, mean_shape=(axis + wider * (shape - axis)).astype(np.float32), **bases)
    # On the chart, the fan hangs below the base.
    return with_fan(longer, chart, _Border.of(longer, chart).ends, -_FAN, is_skin=True)


def _lengthened(model: Model, chart: UvChart, loop: np.ndarray) -> tuple[Model, UvChart]:
    """A head with the rows of the neck below its border `loop` [B], and its chart with their strip."""
    count = len(loop)
    shape = model.mean_shape.astype(np.float64)
    edge = np.linalg.norm(shape[np.roll(loop, -1)] - shape[loop], axis=1)
    rows = max(round(_DROP / (_ROW * edge.mean())), 2)
    way = np.arange(1, rows + 1) / rows  # of the new rows, from the border to the base
    base = _base(shape[loop])
    from_border, follows_base = _hermite(model, loop, way, np.linalg.norm(base - shape[loop], axis=1))
    # What the matrices lack, because it does not follow the mesh: the way to the base, and the direction there.
    _, end, _, arriving = (values[:, None] for values in _curve(way))
    still = np.kron(end, base - shape[loop]) + np.kron(arriving, np.tile([[0.0, -_ARRIVING * _DROP, 0.0]], (count, 1)))

    def rigid(values: np.ndarray) -> np.ndarray:
        return from_border @ values + follows_base @ values

    def extended(values: np.ndarray, new: np.ndarray, axis: int = 0) -> np.ndarray:
        return np.concatenate([values, new.astype(values.dtype)], axis=axis)

    def rowwise(values: np.ndarray) -> np.ndarray:
        return np.tile(values[loop], (rows, *[1] * (values.ndim - 1)))

    # The smoothest colours on a cylinder below its given border; those of the border alone would be vertical bands.
    wave = np.arange(count // 2 + 1) * 2 * np.pi * _DROP / edge.sum()

    def harmonic(values: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(values[loop].astype(np.float64), axis=0)
        fading = np.exp(-way[:, None] * wave)[..., None]
        return np.fft.irfft(fading * spectrum, count, axis=1).reshape(-1, values.shape[-1])

    fade = np.repeat(np.clip(1 - way / _FADED, 0, 1), count)
    changed: dict[str, Any] = {
        "mean_shape": extended(model.mean_shape, rigid(shape) + still),
        "identity_basis": extended(model.identity_basis, np.stack([rigid(mode) for mode in model.identity_basis]), 1),
        "expression_basis": extended(
            model.expression_basis, np.stack([from_border @ mode for mode in model.expression_basis]), 1
        ),
        "mean_albedo": extended(model.mean_albedo, harmonic(model.mean_albedo)),
        "albedo_basis": extended(model.albedo_basis, np.stack([harmonic(mode) for mode in model.albedo_basis]), 1),
        "regions": {name: extended(weight, fade * rowwise(weight)) for name, weight in model.regions.items()},
        "skin_mask": np.append(model.skin_mask, np.ones(rows * count, bool)),
        "front_mask": np.append(model.front_mask, np.zeros(rows * count, bool)),
    }
    place = np.full(model.vertex_count, -1)
    place[loop] = np.arange(count)
    mirrored = place[model.mirror_index[loop]]
    images = model.vertex_count + (np.arange(rows)[:, None] * count + mirrored).ravel()
    changed["mirror_index"] = np.append(model.mirror_index, images).astype(model.mirror_index.dtype)
    longer = _with_strip(chart, loop, model.vertex_count, edge, way)
    changed |= {"triangles": longer.mesh_triangles, "uv": _first_uv(longer, model.vertex_count + rows * count)}
    return dataclasses.replace(model, **changed), longer


def _base(border: np.ndarray) -> np.ndarray:
    """[B, 3] points of the level base that belong to those of the border."""
    middle = (border.min(axis=0) + border.max(axis=0)) / 2
    drop = border[:, 1].mean() - _DROP
    return np.stack(
        [
            middle[0] + _WIDER[0] * (border[:, 0] - middle[0]),
            np.full(len(border), drop),
            middle[2] + _WIDER[1] * (border[:, 2] - middle[2]) - _LEAN * (middle[1] - drop),
        ],
        axis=1,
    )


def _curve(way: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cubic Hermite functions at `way` in [0, 1]: of begin, end, tangent at the begin and at the end."""
    end = way * way * (3 - 2 * way)
    return 1 - end, end, way * (1 - way) ** 2, way * way * (way - 1)


def _hermite(
    model: FaceModel, loop: np.ndarray, way: np.ndarray, length: np.ndarray
) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix]:
    """Matrices [R B, N] from all vertices to the rows: of border and tangents, and of a base that follows the first."""
    count, vertices = len(loop), model.vertex_count
    place = np.full(vertices, -1)
    place[loop] = np.arange(count)
    own = scipy.sparse.csr_matrix((np.ones(count), (np.arange(count), loop)), (count, vertices))
    edges = np.unique(np.sort(model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    edges = np.concatenate([edges, edges[:, ::-1]])
    inwards = edges[(place[edges[:, 0]] >= 0) & (place[edges[:, 1]] < 0)]
    beside = scipy.sparse.csr_matrix((np.ones(len(inwards)), (place[inwards[:, 0]], inwards[:, 1])), (count, vertices))
    beside = scipy.sparse.diags(1 / np.maximum(np.asarray(beside.sum(axis=1)).ravel(), 1)) @ beside
    steps = np.linalg.norm((own - beside) @ model.mean_shape.astype(np.float64), axis=1)
    tangent = (scipy.sparse.diags(1 / np.maximum(steps, 1e-9)) @ (own - beside)).tocsr()
    tangent = _symmetric(tangent, place[model.mirror_index[loop]], model.mirror_index)
    along = 0.5 * scipy.sparse.identity(count, format="csr")
    for shift in (-1, 1):
        turned = np.roll(np.arange(count), shift)
        along = along + scipy.sparse.csr_matrix((np.full(count, 0.25), (np.arange(count), turned)), (count, count))
    for _ in range(_SMOOTHING):
        tangent = along @ tangent
    tangent = scipy.sparse.diags(_LEAVING * length) @ tangent
    begin, end, leaving, _ = _curve(way)
    columns = [values[:, None] for values in (begin, leaving, end)]
    from_border = scipy.sparse.kron(columns[0], own) + scipy.sparse.kron(columns[1], tangent)
    return from_border.tocsr(), scipy.sparse.kron(columns[2], own).tocsr()


def _relaxation(model: FaceModel, loop: np.ndarray, fixed: int) -> scipy.sparse.csr_matrix:
    """[N, N] matrix that moves vertices around a loop towards the means of their neighbours, less with the distance."""
    laplacian = edge_laplacian(model.triangles, model.vertex_count)
    identity = scipy.sparse.identity(model.vertex_count, format="csr")
    mean = neighbour_mean(laplacian)
    near = np.zeros(model.vertex_count)
    near[loop] = 1
    reach = near.copy()
    for _ in range(_AROUND):
        near = np.maximum(near, mean @ near > 0)
        reach += near
    share = reach / (_AROUND + 1)
    share[:fixed] = 0
    share[-len(loop) :] = 0  # the base
    step = identity + scipy.sparse.diags(0.5 * share) @ (mean - identity)
    result = identity
    for _ in range(_RELAXED):
        result = step @ result
    return _symmetric(result.tocsr(), model.mirror_index, model.mirror_index)


def _wider(shape: np.ndarray, axis: np.ndarray, fixed: int) -> np.ndarray:
    """[N, 3] factors by which vertices `shape` [N, 3] move away from the vertical axis through a point [3]."""
    begin, full = _WIDENS
    below = smoothstep((begin - (shape[:, 1] - axis[1])) / (begin - full))
    clear = smoothstep(scipy.spatial.KDTree(shape[:fixed]).query(shape)[0] / _CLEAR)
    return 1 + (_GIRTH - 1) * (below * clear)[:, None] * (1, 0, 1)


def _symmetric(matrix: scipy.sparse.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> scipy.sparse.csr_matrix:
    """Mean of a matrix and its mirror image: the triangles' diagonals are not mirrored, but the neck should be."""
    return 0.5 * (matrix + matrix[rows][:, columns])


def _with_strip(chart: UvChart, loop: np.ndarray, first: int, edge: np.ndarray, way: np.ndarray) -> UvChart:
    """The chart with the rows of the neck, whose mesh vertices begin at `first`, as a strip; `edge` [B] are lengths."""
    skin = chart.uv[chart.uv[:, 1] > ROW, 1]
    low, high = ROW + MARGIN + _FAN, skin.min() - MARGIN
    if high - low < _FAN:
        raise ValueError(f"the chart must have space between the row and the skin, got {high - low:.3f}")
    count, rows = len(loop), len(way) + 1
    across = np.concatenate([[0.0], np.cumsum(edge)]) / edge.sum()
    down = np.concatenate([[0.0], way])
    u, v = np.meshgrid(MARGIN + (1 - 2 * MARGIN) * across, high - (high - low) * down)
    column = np.append(np.arange(count), 0)
    vertex = np.concatenate([loop[column], (first + np.arange(rows - 1)[:, None] * count + column).ravel()])
    number = len(chart.vertex) + np.arange(rows * (count + 1)).reshape(rows, count + 1)
    left, right, below_left, below_right = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    halves = ((left, below_left, below_right), (left, below_right, right))
    strip = np.concatenate([np.stack([corner.ravel() for corner in half], axis=1) for half in halves])
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    return UvChart(
        np.concatenate([chart.vertex, vertex]).astype(np.int32),
        np.concatenate([chart.uv, uv]).astype(np.float32),
        np.concatenate([chart.triangles, strip]).astype(np.int32),
    )


def _first_uv(chart: UvChart, vertices: int) -> np.ndarray:
    """[N, 2] one texture coordinate for each mesh vertex."""
    uv = np.zeros((vertices, 2), np.float32)
    uv[chart.vertex[::-1]] = chart.uv[::-1]
    return uv


def _lowest_border(model: FaceModel, edges: np.ndarray) -> np.ndarray:
    """[B] numbers of the directed edges [E, 2] that form the lowest of the mesh's borders."""
    return min(borders(edges, model.vertex_count), key=lambda border: model.mean_shape[edges[border, 0], 1].mean())
