"""Points of a surface found again from where they project."""

import numpy as np

from lib.face_mesh.surface_points import SurfacePoints, Views, locate, silhouette_weight


def bumpy_sheet():
    """A 9 x 9 grid [81, 3], its triangles."""
    y, x = np.mgrid[:9, :9].astype(float)
    vertices = np.stack([x, y, np.cos(x) + np.sin(1.7 * y)], axis=-1).reshape(-1, 3)
    index = np.arange(81).reshape(9, 9)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def views_of(vertices, triangles, chosen, barycentrics, noise=0.0):
    """The sheet from twelve sides, and where points of it appear."""
    generator, projected, found = np.random.default_rng(3), [], []
    for _ in range(12):
        a, b = generator.uniform(-0.5, 0.5, 2)
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0]]) @ np.array(
            [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
        )
        pixels = 10 * vertices @ turn.T
        projected.append(pixels)
        found.append(np.einsum("mk,mkc->mc", barycentrics, pixels[triangles[chosen]]))
    shape = [12, len(chosen), 2]
    return Views(np.array(projected), np.ones([12, 81]), np.array(found) + noise * generator.normal(size=shape))


def test_points_are_found_again():
    vertices, triangles = bumpy_sheet()
    chosen = np.array([5, 40, 77, 100])
    barycentrics = np.array([[1, 2, 3], [4, 1, 1], [0, 3, 3], [2, 2, 2]]) / 6
    true = np.einsum("mk,mkc->mc", barycentrics, vertices[triangles[chosen]])
    allowed = np.ones(81, bool)
    found = locate(views_of(vertices, triangles, chosen, barycentrics), triangles, allowed)
    np.testing.assert_allclose(found.on(vertices), true, atol=1e-5)
    np.testing.assert_allclose(found.barycentrics.sum(1), 1, atol=1e-6)
    noisy = locate(views_of(vertices, triangles, chosen, barycentrics, 1.0), triangles, allowed)
    assert np.linalg.norm(noisy.on(vertices) - true, axis=1).max() < 0.3


def test_points_keep_off_forbidden_vertices():
    vertices, triangles = bumpy_sheet()
    chosen, barycentrics = np.array([40]), np.full([1, 3], 1 / 3)
    allowed = np.ones(81, bool)
    allowed[triangles[40]] = False
    found = locate(views_of(vertices, triangles, chosen, barycentrics), triangles, allowed)
    assert allowed[found.vertices].all()


def test_outliers_do_not_move_points():
    vertices, triangles = bumpy_sheet()
    chosen, barycentrics = np.array([40]), np.full([1, 3], 1 / 3)
    views = views_of(vertices, triangles, chosen, barycentrics)
    views.found[:2] += 40
    found = locate(views, triangles, np.ones(81, bool))
    true = vertices[triangles[40]].mean(0)
    assert np.linalg.norm(found.on(vertices) - true) < 0.3


def test_turned_away_surface_counts_little():
    triangle = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], float)
    camera = np.array([0, 0, 10.0])
    np.testing.assert_allclose(silhouette_weight(triangle, camera), 1)
    np.testing.assert_allclose(silhouette_weight(triangle[:, ::-1], camera), 0.02)
    tilted = triangle @ np.array([[1, 0, 0], [0, 0.15, np.sqrt(1 - 0.15**2)], [0, 0, 0]])
    weight = silhouette_weight(tilted, np.array([0, 0, 1e6]))
    np.testing.assert_allclose(weight, 0.5, atol=1e-3)


def test_values_are_mixed_by_barycentrics():
    points = SurfacePoints(np.array([[0, 1, 2]]), np.array([[0.5, 0.25, 0.25]]))
    np.testing.assert_allclose(points.on(np.array([[4.0], [8], [0]])), [[4.0]])
