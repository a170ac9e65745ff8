"""The neck of a whole head is closed from below."""

import numpy as np
import pytest

from lib.face_model_files.human_head import ExtendedHead
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.mesh_export.uv_chart import rasterize_chart, tangents
from lib.synthetic.builtin.face_generator import build_face_model


@pytest.fixture(scope="module")
def extended() -> ExtendedHead:
    return ExtendedHead.build(HumanHead.load(SHIPPED), build_face_model(2000), "face", "head", 0)


def normals_of(shape: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (shape[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def test_a_fan_below_the_neck_closes_it(extended):
    model, chart = extended.model, extended.chart
    last = model.vertex_count - 1
    fan = model.triangles[(model.triangles == last).any(axis=1)]
    assert len(fan) > 20
    assert (normals_of(model.mean_shape, fan)[:, 1] < 0).all(), "it is seen from below"
    edges = np.sort(model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    assert (count[np.isin(edges, fan).any(axis=1)] == 2).all(), "watertight"
    np.testing.assert_array_equal(chart.mesh_triangles, model.triangles)
    assert model.mirror_index[last] == last
    ring = np.setdiff1d(fan, last)
    np.testing.assert_allclose(model.identity_basis[:, last], model.identity_basis[:, ring].mean(axis=1), atol=1e-6)
    assert model.regions["scalp"][last] == pytest.approx(model.regions["scalp"][ring].mean(), abs=1e-6)


def test_the_chart_shows_the_neck_and_the_fan_has_its_colours(extended):
    model, chart = extended.model, extended.chart
    raster = rasterize_chart(chart, 256)
    height = raster.interpolate(model.mean_shape[:, 1:2])[..., 0]
    fan = (chart.mesh_triangles == model.vertex_count - 1).any(axis=1)
    middle = chart.uv[chart.triangles[fan]].mean(axis=1)
    column, row = (np.stack([middle[:, 0], 1 - middle[:, 1]]) * raster.size).astype(int)
    neck = model.mean_shape[np.unique(chart.mesh_triangles[fan]), 1]
    shown = raster.inside[row, column]
    assert shown.mean() > 0.8
    assert (height[row, column][shown] > neck.min() - 0.01).all()
    normals = np.zeros_like(model.mean_shape)
    np.add.at(normals, model.triangles.T, normals_of(model.mean_shape, model.triangles))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    assert np.isfinite(tangents(chart, model.mean_shape, normals)).all()
