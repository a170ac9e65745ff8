"""The guided filter against its definition, window by window, and on an edge."""

import numpy as np

from lib.images.guided_filter import guided_filter


def test_it_is_the_published_filter():
    generator = np.random.default_rng(1)
    guide, values = generator.random((2, 12, 12))
    radius, epsilon = 2, 0.01
    found = guided_filter(guide, values, radius, epsilon)
    # The centre is far enough from the border for whole windows of windows.
    slopes, offsets = np.zeros((2, 12, 12))
    for row in range(2, 10):
        for column in range(2, 10):
            window = slice(row - radius, row + radius + 1), slice(column - radius, column + radius + 1)
            i, p = guide[window], values[window]
            slopes[row, column] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + epsilon)
            offsets[row, column] = p.mean() - slopes[row, column] * i.mean()
    for row in range(4, 8):
        for column in range(4, 8):
            window = slice(row - radius, row + radius + 1), slice(column - radius, column + radius + 1)
            expected = slopes[window].mean() * guide[row, column] + offsets[window].mean()
            np.testing.assert_allclose(found[row, column], expected, rtol=1e-4)


def test_a_blurred_border_moves_to_the_edge_of_the_guide():
    guide = np.repeat([[0.2] * 20 + [0.8] * 20], 40, 0)
    values = np.clip((np.arange(40) - 13) / 14, 0, 1)[None].repeat(40, 0)
    found = guided_filter(guide, values, 8, 1e-4)
    assert found[20, 18] < values[20, 18] - 0.1
    assert found[20, 21] > values[20, 21] + 0.1
    np.testing.assert_allclose(guided_filter(guide, np.full((40, 40), 0.3), 5, 1e-3), 0.3, atol=1e-5)
