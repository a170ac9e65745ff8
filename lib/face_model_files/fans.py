"""Borders of a mesh, and fans of triangles that close them."""

import dataclasses
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import UvChart

Model = TypeVar("Model", bound=FaceModel)


def borders(edges: np.ndarray, count: int) -> list[np.ndarray]:
    """The borders of a mesh, each as numbers [B] of the directed edges that form it.

    Args:
      edges: [E, 2] vertices of all triangles' edges.
      count: number of vertices.
    """
    low, high = np.sort(edges, axis=1).T
    _, edge = np.unique(low.astype(np.int64) * count + high, return_inverse=True)
    single = np.flatnonzero(np.bincount(edge.ravel())[edge.ravel()] == 1)
    joined = scipy.sparse.coo_matrix((np.ones(len(single)), edges[single].T), (count, count))
    border = scipy.sparse.csgraph.connected_components(joined, directed=False)[1][edges[single, 0]]
    return [single[border == number] for number in np.unique(border)]


def with_fan(model: Model, chart: UvChart, ends: np.ndarray, height: float, is_skin: bool) -> tuple[Model, UvChart]:
    """Closes a border with triangles about a new vertex, the last one, which is the mean of the border.

    Args:
      model: with N vertices.
      chart: its texture chart.
      ends: [B, 2] chart vertices of the border's edges, in the direction of their triangles.
      height: of the new triangles on the chart, which stand on the border's edges; negative if they hang.
      is_skin: whether the new vertex is skin.
    """
    middle, count = model.vertex_count, len(ends)
    ring = np.unique(chart.vertex[ends])
    vertex = np.append(chart.vertex, np.full(count, middle)).astype(np.int32)
    uv = np.concatenate([chart.uv, chart.uv[ends].mean(axis=1) + np.array([0, height], np.float32)])
    fan = np.column_stack([ends[:, ::-1], len(chart.vertex) + np.arange(count)]).astype(np.int32)
    closed = UvChart(vertex, uv, np.concatenate([chart.triangles, fan]))

    def extended(values: np.ndarray, axis: int = 0) -> np.ndarray:
        mean = np.take(values, ring, axis=axis).mean(axis=axis, keepdims=True)
        return np.concatenate([values, mean.astype(values.dtype)], axis=axis)

    changed: dict[str, Any] = {name: extended(getattr(model, name)) for name in ("mean_shape", "mean_albedo", "uv")}
    changed |= {name: extended(getattr(model, name), 1) for name in ("identity_basis", "expression_basis")}
    changed |= {"albedo_basis": extended(model.albedo_basis, 1), "triangles": closed.mesh_triangles}
    flags = (("skin_mask", is_skin), ("front_mask", False))
    changed |= {name: np.append(getattr(model, name), value) for name, value in flags}
    changed |= {"mirror_index": np.append(model.mirror_index, middle).astype(model.mirror_index.dtype)}
    changed |= {"regions": {name: extended(weight) for name, weight in model.regions.items()}}
    return dataclasses.replace(model, **changed), closed
