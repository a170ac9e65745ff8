"""Closes the neck of a whole head from below, where one would look into it."""

import dataclasses
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import UvChart

Model = TypeVar("Model", bound=FaceModel)


def with_closed_neck(model: Model, chart: UvChart) -> tuple[Model, UvChart]:
    """A head with a fan of triangles over the lowest border of its mesh, about a new vertex, the last one.

    The new vertex is the mean of the border. On the chart, the fan is the neck's last row of triangles, folded over
    along the border, so that it has the neck's colours and needs no space. The new triangles come first, because of
    triangles in the same place a chart shows the last.

    Args:
      model: with N vertices.
      chart: its texture chart.
    """
    corners = chart.triangles  # cuts of the chart must not count as borders, but its corners are needed
    ends = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    inner = np.roll(corners, 1, axis=1).ravel()
    edges = chart.vertex[ends]
    border = _lowest_border(model, edges)
    ends, inner, edges = ends[border], inner[border], edges[border]
    ring, middle, count = np.unique(edges), model.vertex_count, len(ends)
    vertex = np.concatenate([chart.vertex, edges.ravel(), np.full(count, middle)]).astype(np.int32)
    uv = np.concatenate([chart.uv, chart.uv[ends.ravel()], chart.uv[inner]])
    first = len(chart.vertex)
    begin, end = first + np.arange(2 * count).reshape(count, 2).T
    fan = np.stack([end, begin, first + 2 * count + np.arange(count)], axis=1).astype(np.int32)
    closed = UvChart(vertex, uv, np.concatenate([fan, corners]))

    def extended(values: np.ndarray, axis: int = 0) -> np.ndarray:
        mean = np.take(values, ring, axis=axis).mean(axis=axis, keepdims=True)
        return np.concatenate([values, mean.astype(values.dtype)], axis=axis)

    changed: dict[str, Any] = {name: extended(getattr(model, name)) for name in ("mean_shape", "mean_albedo", "uv")}
    changed |= {name: extended(getattr(model, name), 1) for name in ("identity_basis", "expression_basis")}
    changed |= {"albedo_basis": extended(model.albedo_basis, 1), "triangles": closed.mesh_triangles}
    changed |= {name: np.append(getattr(model, name), of) for name, of in (("skin_mask", True), ("front_mask", False))}
    changed |= {"mirror_index": np.append(model.mirror_index, middle).astype(model.mirror_index.dtype)}
    changed |= {"regions": {name: extended(weight) for name, weight in model.regions.items()}}
    return dataclasses.replace(model, **changed), closed


def _lowest_border(model: FaceModel, edges: np.ndarray) -> np.ndarray:
    """[B] numbers of the directed edges [E, 2] that form the lowest of the mesh's borders."""
    low, high = np.sort(edges, axis=1).T
    _, edge = np.unique(low.astype(np.int64) * model.vertex_count + high, return_inverse=True)
    open_edges = np.flatnonzero(np.bincount(edge.ravel())[edge.ravel()] == 1)
    ones = np.ones(len(open_edges))
    shape = (model.vertex_count, model.vertex_count)
    joined = scipy.sparse.coo_matrix((ones, edges[open_edges].T), shape)
    loop = scipy.sparse.csgraph.connected_components(joined, directed=False)[1][edges[open_edges, 0]]
    names, place = np.unique(loop, return_inverse=True)
    height = np.bincount(place.ravel(), model.mean_shape[edges[open_edges, 0], 1]) / np.bincount(place.ravel())
    return open_edges[loop == names[height.argmin()]]
