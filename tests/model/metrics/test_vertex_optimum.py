import numpy as np

from model.metrics.vertex_optimum import vertex_optimum


def _quad_image(size=8):
    """Two triangles over a square image; barycentrics by the affine formula."""
    triangles = np.array([[0, 1, 2], [2, 1, 3]])
    v, u = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size, indexing="ij")
    lower = u + v <= 1
    barycentrics = np.where(lower[..., None], np.stack([1 - u - v, u, v], -1), np.stack([1 - u, 1 - v, u + v - 1], -1))
    return triangles, np.where(lower, 0, 1), barycentrics


def test_a_linear_image_is_reproduced_exactly():
    triangles, triangle_id, barycentrics = _quad_image()
    colours = np.random.default_rng(0).uniform(0.1, 0.9, (4, 3))
    image = (barycentrics[..., None] * colours[triangles[triangle_id]]).sum(-2)
    rendering = vertex_optimum(image, np.ones((8, 8)), triangle_id, barycentrics, triangles)
    np.testing.assert_allclose(rendering, image, atol=1e-5)


def test_no_other_colouring_is_better():
    triangles, triangle_id, barycentrics = _quad_image()
    rng = np.random.default_rng(1)
    image = rng.uniform(0.3, 0.7, (8, 8, 3))
    best = vertex_optimum(image, np.ones((8, 8)), triangle_id, barycentrics, triangles)
    error = ((best - image) ** 2).sum()
    for _ in range(20):
        nudge = rng.normal(0, 0.02, (4, 3))
        other = best + (barycentrics[..., None] * nudge[triangles[triangle_id]]).sum(-2)
        assert ((other - image) ** 2).sum() >= error


def test_background_and_unmasked_pixels_stay_black():
    triangles, triangle_id, barycentrics = _quad_image()
    triangle_id = triangle_id.copy()
    triangle_id[0, 0] = -1
    mask = np.ones((8, 8))
    mask[5, 5] = 0
    rendering = vertex_optimum(np.full((8, 8, 3), 0.5), mask, triangle_id, barycentrics, triangles)
    assert not rendering[0, 0].any()
    assert not rendering[5, 5].any()
    np.testing.assert_allclose(rendering[3, 3], 0.5, atol=1e-5)


def test_an_empty_mask_is_not_an_error():
    triangles, triangle_id, barycentrics = _quad_image()
    assert not vertex_optimum(np.ones((8, 8, 3)), np.zeros((8, 8)), triangle_id, barycentrics, triangles).any()


def test_an_optimum_that_overshoots_is_clipped():
    triangles, triangle_id, barycentrics = _quad_image()
    image = np.zeros((8, 8, 3))
    image[:, 4:] = 1.0  # a step
    weights = np.zeros((64, 4))
    np.put_along_axis(weights, triangles[triangle_id].reshape(64, 3), barycentrics.reshape(64, 3), axis=1)
    best = (weights @ np.linalg.lstsq(weights, image.reshape(64, 3))[0]).reshape(8, 8, 3)
    assert best.min() < -0.05
    assert best.max() > 1.05
    found = vertex_optimum(image, np.ones((8, 8)), triangle_id, barycentrics, triangles)
    np.testing.assert_allclose(found, np.clip(best, 0, 1), atol=1e-6)
