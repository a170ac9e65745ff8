"""Continuation over a mesh and mirrored texels."""

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from lib.mesh_export import texture_fill
from lib.mesh_export.texture_fill import at_vertices, edge_laplacian, membrane, mirror_map
from lib.mesh_export.uv_chart import UvChart, rasterize_chart

STRIP = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4], [3, 5, 4]], np.int32)


def test_the_laplacian_is_degrees_minus_adjacency():
    expected = np.zeros((6, 6))
    for a, b in [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5), (4, 5)]:
        expected[a, b] = expected[b, a] = -1
    np.fill_diagonal(expected, -expected.sum(axis=1))
    np.testing.assert_array_equal(edge_laplacian(STRIP, 6).toarray(), expected)


def test_the_membrane_is_the_minimum_of_its_energy():
    """Conjugate gradients against a direct solution."""
    random = np.random.default_rng(0)
    count = 400
    chain = np.stack([np.arange(count - 2), np.arange(1, count - 1), np.arange(2, count)], axis=1)
    laplacian = edge_laplacian(chain, count)
    values, weight = random.uniform(-0.1, 0.1, (count, 3)), random.uniform(size=count) * (np.arange(count) < 200)
    found = membrane(laplacian, values, weight)
    order = np.argsort(values, axis=0)
    middle = np.stack([column[np.searchsorted(np.cumsum(weight[column]), weight.sum() / 2)] for column in order.T])
    middle = np.take_along_axis(values, middle[None], axis=0)[0]
    data = weight / (texture_fill.SMOOTHED**2 * count)
    system = laplacian + sp.diags(data + 1 / (texture_fill.FADED**2 * count))
    exact = scipy.sparse.linalg.spsolve(system.tocsc().astype(float), data[:, None] * (values - middle)) + middle
    np.testing.assert_allclose(found, exact, rtol=0, atol=5e-4)
    np.testing.assert_allclose(found[-1], middle, atol=1e-3)


def test_without_any_data_the_membrane_is_zero():
    found = membrane(edge_laplacian(STRIP, 6), np.ones((6, 3)), np.zeros(6))
    np.testing.assert_array_equal(found, np.zeros((6, 3)))


def test_far_from_the_data_a_few_odd_values_count_for_nothing():
    chain = np.stack([np.arange(398), np.arange(1, 399), np.arange(2, 400)], axis=1)
    values, weight = np.full((400, 1), 0.5), np.ones(400) * (np.arange(400) < 100)
    values[::3] = -1
    np.testing.assert_allclose(membrane(edge_laplacian(chain, 400), values, weight)[-1], 0.5, atol=1e-2)


def test_single_outliers_are_limited():
    values = np.zeros((6, 1))
    values[0] = -5
    found = membrane(edge_laplacian(STRIP, 6), values, np.array([0.01, 1, 1, 1, 1, 1]))
    assert found.min() > -0.3


def test_values_without_outliers_are_not_limited():
    chain = np.stack([np.arange(398), np.arange(1, 399), np.arange(2, 400)], axis=1)
    values = np.where(np.arange(400) < 150, 1.0, 0.0)[:, None]
    found = membrane(edge_laplacian(chain, 400), values, np.ones(400), limit=np.inf)
    assert found[75] > 0.8


def test_mirrored_texels_and_cuts():
    """Two squares side by side; the right one is cut off from the left one along their common edge."""
    uv = np.array([[0, 0], [0.4, 0], [0, 1], [0.4, 1], [0.6, 0], [1, 0], [0.6, 1], [1, 1]], np.float32)
    vertex = np.array([0, 1, 3, 4, 1, 2, 4, 5], np.int32)
    triangles = np.array([[0, 1, 3], [0, 3, 2], [4, 5, 7], [4, 7, 6]], np.int32)
    chart = UvChart(vertex, uv, triangles)
    raster = rasterize_chart(chart, 100)
    place = mirror_map(chart, raster, np.array([2, 1, 0, 5, 4, 3]))
    assert (place[~raster.inside] < -100).all()
    assert (place[:, 5:95] < -100).all()  # every triangle touches the cut; its own corners alone are certain
    whole = UvChart(np.arange(6, dtype=np.int32), np.array([[0, 0], [0.5, 0], [1, 0], [0, 1], [0.5, 1], [1, 1]]),
                    np.array([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]], np.int32))  # fmt: skip
    place = mirror_map(whole, rasterize_chart(whole, 100), np.array([2, 1, 0, 5, 4, 3]))
    row, column = np.indices((100, 100))
    np.testing.assert_allclose(place, np.stack([99 - column, row], axis=-1), atol=1e-3)


def test_vertices_on_a_cut_read_the_mean_of_both_sides():
    chart = UvChart(
        np.array([0, 1, 1]), np.array([[0.25, 0.5], [0.25, 0.5], [0.75, 0.5]], np.float32), np.zeros((0, 3))
    )
    texture = np.repeat(np.array([[[1.0], [5.0]]], np.float32), 2, axis=0)
    np.testing.assert_allclose(at_vertices(chart, texture, 2)[:, 0], [1, 3])
