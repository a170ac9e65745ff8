"""Closes the inside of the mouth at the back, where one would see the inside of the face through open lips."""

from typing import TypeVar

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from lib.face_model.face_model import FaceModel
from lib.face_model_files.fans import borders, with_fan
from lib.mesh_export.uv_chart import UvChart

Model = TypeVar("Model", bound=FaceModel)

# Height of the new triangles on the chart.
_FAN = 0.012


def with_throat(model: Model, chart: UvChart) -> tuple[Model, UvChart]:
    """A head whose mouth ends in a dark wall; its new vertex is the last one.

    Args:
      model: with N vertices; the tongue and the teeth are parts of their own.
      chart: its texture chart.

    Raises:
      ValueError: the inside of the mouth has not one border at the back.
    """
    corners = chart.triangles
    ends = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    # Lips and the inside of the mouth are joined by their places: the chart is cut there, and so is the face's mesh.
    _, place = np.unique(model.mean_shape, axis=0, return_inverse=True)
    edges = place.ravel()[chart.vertex[ends]]
    inside = model.regions["mouth_inside"][chart.vertex[ends]].min(axis=1) > 0.5
    joined = scipy.sparse.coo_matrix((np.ones(len(edges)), edges.T), (len(place), len(place)))
    part = scipy.sparse.csgraph.connected_components(joined, directed=False)[1]
    skin = part[edges[model.skin_mask[chart.vertex[ends[:, 0]]], 0][0]]
    found = [
        border for border in borders(edges, len(place)) if inside[border].all() and part[edges[border[0], 0]] == skin
    ]
    if len(found) != 1:
        raise ValueError(f"the inside of the mouth must have one border at the back, got {len(found)}")
    return with_fan(model, chart, ends[found[0]], _FAN, is_skin=False)
