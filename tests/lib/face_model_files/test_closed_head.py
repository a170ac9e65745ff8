"""A whole head is closed: its neck goes down to a level base, and its mouth ends in a wall."""

import dataclasses

import numpy as np
import pytest
import scipy.spatial

from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import ExtendedHead, HeadAroundFace
from lib.face_model_files.neck import with_neck
from lib.face_model_files.throat import with_throat
from lib.human_head.chart import ROW
from lib.mesh_export.uv_chart import UvChart, rasterize_chart, tangents
from tests.support.faces import coarse_head, extended_head


@pytest.fixture(scope="module")
def extended() -> ExtendedHead:
    return extended_head()


def normals_of(shape: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (shape[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def girth(shape: np.ndarray, height: float) -> float:
    """Perimeter of the convex hull of the vertices near a height."""
    level = shape[np.abs(shape[:, 1] - height) < 0.06][:, [0, 2]]
    return float(scipy.spatial.ConvexHull(level).area)


@pytest.fixture(scope="module")
def head() -> FaceModel:
    model = coarse_head("head")
    return HeadAroundFace(**{field.name: getattr(model, field.name) for field in dataclasses.fields(model)})


def test_the_base_is_level_and_well_below_the_chin(extended):
    model = extended.model
    fan = model.triangles[(model.triangles == model.vertex_count - 1).any(axis=1)]
    base = model.mean_shape[np.setdiff1d(fan, model.vertex_count - 1)]
    assert np.ptp(base[:, 1]) < 1e-4
    assert 0.4 < model.mean_shape[model.landmarks[8], 1] - base[0, 1] < 0.8, "dm"
    # It stays where it is when the jaw opens.
    moved = np.abs(model.expression_basis[:, np.unique(fan)]).max()
    assert moved < 1e-6 < np.abs(model.expression_basis).max()


def test_the_neck_has_the_girth_of_a_person(extended):
    """The mean head lies between women, 325 mm, and men, 380 mm, where its neck is thinnest."""
    model = extended.model
    heights = model.mean_shape[model.landmarks[8], 1] + np.arange(-0.5, -0.1, 0.05)
    girths = [girth(model.mean_shape, height) for height in heights]
    assert 3.25 < min(girths) < 3.8, "dm"


def test_the_neck_continues_the_surface(extended):
    """No crease: the normals of neighbouring triangles differ little everywhere below the ears, but at the base."""
    model = extended.model
    fan = (model.triangles == model.vertex_count - 1).any(axis=1)
    unit = normals_of(model.mean_shape, model.triangles)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    edges = np.sort(model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(axis=1)
    pairs = np.stack([order[1:][same], order[:-1][same]], axis=1) // 3
    height = model.mean_shape[model.triangles, 1].mean(axis=1)
    low = (height < model.mean_shape[model.landmarks[8], 1] - 0.05) & ~fan
    pairs = pairs[low[pairs].all(axis=1)]
    assert len(pairs) > 100
    assert (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1).min() > np.cos(np.radians(42))


def test_vertices_that_are_fixed_stay_and_mirrored_ones_agree(head):
    chart = UvChart(np.arange(head.vertex_count, dtype=np.int32), head.uv, head.triangles)
    fixed = head.vertex_count
    longer, _ = with_neck(head, chart, fixed)
    np.testing.assert_array_equal(longer.mean_shape[:fixed], head.mean_shape)
    np.testing.assert_array_equal(longer.expression_basis[:, :fixed], head.expression_basis)
    new = slice(head.vertex_count, None)
    image = longer.mean_shape[longer.mirror_index[new]] * (-1, 1, 1)
    apart = np.linalg.norm(longer.mean_shape[new] - image, axis=1)
    assert apart.max() < 0.02, "dm"


def test_a_border_that_touches_itself_is_refused(head):
    """Two vertices of the border become one: its loop has the shape of an eight."""
    model, chart = with_neck(head, UvChart(np.arange(head.vertex_count, dtype=np.int32), head.uv, head.triangles), 0)
    fan = (model.triangles == model.vertex_count - 1).any(axis=1)
    corners = chart.triangles[~fan]
    base = np.unique(model.triangles[fan])[:-1]
    touching = chart.vertex.copy()
    touching[touching == base[3]] = base[len(base) // 2]
    with pytest.raises(ValueError, match="must be one loop"):
        with_neck(model, UvChart(touching, chart.uv, corners), 0)


def test_a_chart_without_space_is_refused(head):
    skin = head.uv[:, 1] > ROW
    low = head.uv - skin[:, None] * (0, head.uv[skin, 1].min() - 1.01 * ROW)
    with pytest.raises(ValueError, match="must have space between the row and the skin"):
        with_neck(head, UvChart(np.arange(head.vertex_count, dtype=np.int32), low, head.triangles), 0)


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


def test_the_chart_shows_neck_and_base(extended):
    model, chart = extended.model, extended.chart
    raster = rasterize_chart(chart, 512)
    height = raster.interpolate(model.mean_shape[:, 1:2])[..., 0]
    fan = (chart.mesh_triangles == model.vertex_count - 1).any(axis=1)
    middle = chart.uv[chart.triangles[fan]].mean(axis=1)
    column, row = (np.stack([middle[:, 0], 1 - middle[:, 1]]) * raster.size).astype(int)
    assert raster.inside[row, column].all()
    np.testing.assert_allclose(height[row, column], model.mean_shape[-1, 1], atol=1e-3)
    normals = np.zeros_like(model.mean_shape)
    np.add.at(normals, model.triangles.T, normals_of(model.mean_shape, model.triangles))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    assert np.isfinite(tangents(chart, model.mean_shape, normals)).all()


def test_colours_of_the_border_fade_into_their_mean_instead_of_running_down_in_bands(head):
    """As a harmonic function on a cylinder: the mean stays, and the finer colours vary, the sooner they fade."""
    chart = UvChart(np.arange(head.vertex_count, dtype=np.int32), head.uv, head.triangles)
    longer, _ = with_neck(head, chart, head.vertex_count)
    below = longer.triangles[(longer.triangles >= head.vertex_count).any(axis=1)]
    loop = np.setdiff1d(below, np.arange(head.vertex_count, longer.vertex_count))
    spotted = head.mean_albedo.copy()
    spotted[loop[::2]] += 0.2
    longer, _ = with_neck(dataclasses.replace(head, mean_albedo=spotted), chart, head.vertex_count)
    rows = longer.mean_albedo[head.vertex_count : -1].reshape(-1, len(loop), 3)
    np.testing.assert_allclose(rows.mean(axis=1), np.tile(spotted[loop].mean(axis=0), (len(rows), 1)), atol=1e-4)
    spread = rows.std(axis=1).max(axis=1)
    assert (np.diff(spread) < 0).all()
    assert spread[0] < 0.8 * spotted[loop].std(axis=0).max()
    assert spread[-1] < 0.2 * spotted[loop].std(axis=0).max()


@pytest.fixture(scope="module")
def wall(extended) -> np.ndarray:
    """[B, 3] the triangles of the wall: those about its middle, which no other part of the mouth's inside uses."""
    model = extended.model
    inside = np.flatnonzero(
        (model.regions["mouth_inside"] > 0.5) & (model.mirror_index == np.arange(model.vertex_count))
    )
    used = np.bincount(model.triangles.ravel(), minlength=model.vertex_count)
    middle = inside[used[inside].argmax()]
    return model.triangles[(model.triangles == middle).any(axis=1)]


def test_nobody_looks_through_the_mouth_into_the_head(extended, wall):
    """The wall faces the front and leaves no gap around it."""
    model = extended.model
    assert len(wall) > 20
    corners = model.mean_shape[wall]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (facing[:, 2] > 0).all(), "it is seen from the front"
    places = np.unique(model.mean_shape, axis=0, return_inverse=True)[1].ravel()
    edges = np.sort(places[model.triangles][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    assert (count[np.isin(edges, places[wall]).any(axis=1)] == 2).all(), "watertight"


def test_the_wall_is_dark_and_no_skin(extended, wall):
    model = extended.model
    vertices = np.unique(wall)
    assert not (model.skin_mask | model.front_mask)[vertices].any()
    assert model.mean_albedo[vertices].max() < 0.15
    assert model.regions["mouth_inside"][vertices].min() > 0.99


def test_the_wall_has_a_place_of_their_own_on_the_chart(extended, wall):
    chart = extended.chart
    fan = np.flatnonzero((chart.mesh_triangles[:, :, None] == wall[0]).any(axis=(1, 2)))
    assert len(fan)
    a, b, c = (chart.uv[chart.triangles[:, k]] for k in range(3))
    area = np.abs(np.cross(b - a, c - a))
    of_wall = np.isin(chart.mesh_triangles, wall).all(axis=1)
    assert (area[of_wall] > 0).all()


def test_a_head_without_a_mouth_is_refused(extended):
    model = extended.model
    closed = dataclasses.replace(model, regions={**model.regions, "mouth_inside": np.zeros(model.vertex_count)})
    with pytest.raises(ValueError, match="must have one border at the back, got 0"):
        with_throat(closed, extended.chart)
