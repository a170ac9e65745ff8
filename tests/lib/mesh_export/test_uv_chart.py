"""Charts: which texel shows which point, what a usable chart is, and what is made where there is none."""

import numpy as np
import pytest
import trimesh

from lib.mesh_export.uv_chart import (
    chart_fault,
    rasterize_chart,
    tangents,
    texel_footprint,
    texel_shapes,
    uncut,
    unwrap,
)
from tests.support.faces import built_in_face

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
HALVES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def plane(uv=SQUARE):
    """The square in space: 2 along x, 3 along y."""
    vertices = np.column_stack([SQUARE * [2, 3], np.zeros(4)])
    return vertices, uncut(uv, HALVES)


def test_texels_lie_at_their_centres_with_v_up():
    _, chart = plane()
    raster = rasterize_chart(chart, 8)
    assert raster.inside.all()
    values = raster.interpolate(SQUARE)
    np.testing.assert_allclose(values[2, 5], [5.5 / 8, 1 - 2.5 / 8], atol=1e-6)
    np.testing.assert_allclose(raster.barycentrics.sum(axis=-1), 1, atol=1e-6)


def test_what_lies_outside_takes_its_nearest_texel():
    chart = uncut(np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8]]), np.array([[0, 1, 2]]))
    raster = rasterize_chart(chart, 64)
    assert 0.1 < raster.inside.mean() < 0.25
    texture = np.where(raster.inside[..., None], np.float32([0.3, 0.6, 0.9]), 0)
    texture[raster.inside, 0] = np.arange(raster.inside.sum())
    filled = raster.dilate(texture)
    np.testing.assert_array_equal(filled[raster.inside], texture[raster.inside])
    assert (filled[..., 1] == np.float32(0.6)).all()
    rows, columns = np.nonzero(raster.inside)
    for row, column in [(0, 0), (63, 63), (50, 5), (20, 50)]:
        distance = np.hypot(rows - row, columns - column)
        taken = np.flatnonzero(texture[rows, columns, 0] == filled[row, column, 0])[0]
        assert distance[taken] <= distance.min() + 1  # the transform is exact to a texel


@pytest.mark.parametrize(
    ("uv", "fault"),
    [
        (SQUARE * 1.5, "must lie in"),
        (np.zeros((4, 2)), "no area"),
        (np.array([[0, 0], [1, 0], [1, 1], [0.9, 0.1]]), "overlap"),
        (1e-4 + 2e-4 * SQUARE, "smaller than a texel"),
    ],
)
def test_unusable_charts_are_recognised_and_replaced(uv, fault):
    assert fault in chart_fault(uv, HALVES)
    vertices = np.column_stack([SQUARE, np.zeros(4)])
    assert chart_fault(unwrap(vertices, HALVES).uv, HALVES) is None


def test_the_built_in_model_brings_a_chart_of_its_own():
    model = built_in_face(2500)
    assert chart_fault(model.uv, model.triangles) is None


def test_a_closed_surface_is_cut_the_same_way_every_time():
    sphere = trimesh.creation.icosphere(2)
    chart = unwrap(sphere.vertices, sphere.faces)
    assert len(chart.uv) > len(sphere.vertices)
    assert chart_fault(chart.uv, chart.triangles) is None
    np.testing.assert_array_equal(chart.mesh_triangles, sphere.faces)
    again = unwrap(sphere.vertices, sphere.faces)
    np.testing.assert_array_equal(again.uv, chart.uv)
    np.testing.assert_array_equal(again.triangles, chart.triangles)


def test_sizes_of_texels():
    vertices, chart = plane()
    np.testing.assert_allclose(texel_shapes(chart, vertices, 10), np.full((4, 3), [0.2, 0.3, 0]), rtol=1e-6)
    sheared = np.column_stack([SQUARE @ [[2, 0], [3, 4]], np.ones(4)])
    np.testing.assert_allclose(texel_shapes(chart, sheared, 10), np.full((4, 3), [0.2, 0.5, 0.6]), rtol=1e-6)
    pixels = SQUARE * [50, 200]
    np.testing.assert_allclose(texel_footprint(chart, pixels, 10), np.full(4, 10), rtol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_tangents_point_along_u_and_their_third_axis_along_v(mirrored):
    uv = SQUARE * [-1, 1] + [1, 0] if mirrored else SQUARE
    vertices, chart = plane(uv)
    normals = np.tile([0.6, 0, 0.8], (4, 1))
    found = tangents(chart, vertices, normals)
    along_u = -1 if mirrored else 1
    np.testing.assert_allclose(found[:, :3], np.tile([0.8 * along_u, 0, -0.6 * along_u], (4, 1)), atol=1e-6)
    third = found[:, 3:] * np.cross(normals, found[:, :3])
    np.testing.assert_allclose(third, np.tile([0, 1, 0], (4, 1)), atol=1e-6)


def test_a_vertex_without_triangles_has_a_tangent_too():
    vertices, chart = np.vstack([SQUARE, [0.5, 0.5]]), uncut(np.vstack([SQUARE, [0.5, 0.5]]), HALVES)
    normals = np.tile([0.0, 0, 1], (5, 1))
    normals[4] = 0
    found = tangents(chart, np.column_stack([vertices, np.zeros(5)]), normals)
    np.testing.assert_allclose(np.linalg.norm(found[:, :3], axis=1), 1)
    np.testing.assert_allclose(found[:, 2], 0)
