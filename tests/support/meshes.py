"""Small meshes for tests, built in code."""

import numpy as np


def wavy_grid(columns=30, rows=30, hole=None):
    """An open sheet z = f(x, y), optionally with a square hole of the given [start, stop) cells."""
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    vertices = np.stack([x, y, 0.3 * np.sin(3 * x) * np.cos(2 * y)], -1).reshape(-1, 3).astype(np.float32)
    triangles = []
    for i in range(rows - 1):
        for j in range(columns - 1):
            if hole and hole[0] <= i < hole[1] and hole[0] <= j < hole[1]:
                continue
            a = i * columns + j
            triangles += [(a, a + 1, a + columns), (a + 1, a + columns + 1, a + columns)]
    return vertices, np.array(triangles, np.int32)


def sheet(rows=4, columns=5, overhang=1.3, seed=0):
    """A bumpy grid that covers the whole image: clip vertices [1, N, 4] float64 and triangles."""
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-overhang, overhang, rows), np.linspace(-overhang, overhang, columns), indexing="ij")
    w = generator.uniform(4, 6, x.shape)
    clip = np.stack([x * w, y * w, w - generator.uniform(0.5, 1, x.shape), w], axis=-1).reshape(1, -1, 4)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    return clip, np.concatenate([np.stack([a, b, c], 1), np.stack([c, a, d], 1)]).astype(np.int32)
