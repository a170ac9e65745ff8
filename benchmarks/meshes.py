"""Meshes of any size for benchmarks."""

import numpy as np


def sphere(vertex_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bumpy sphere from a grid of longitudes and latitudes: vertices [N, 3] and triangles [F, 3]."""
    side = round(vertex_count**0.5)
    latitude, longitude = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, side), np.linspace(-np.pi, np.pi, side), indexing="ij"
    )
    radius = 1 + 0.03 * np.sin(7 * longitude) * np.sin(5 * latitude)
    vertices = np.stack(
        [np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude)], axis=-1
    )
    index = np.arange(side * side).reshape(side, side)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return (radius[..., None] * vertices).reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def face_like_sheet(vertex_count: int, order: str = "rows") -> tuple[np.ndarray, np.ndarray]:
    """An open, bumpy sheet of about `vertex_count` vertices, numbered by rows or at random ("rows", "random")."""
    side = round(vertex_count**0.5)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    z = 0.8 * np.sqrt(2.2 - x**2 - y**2) + 0.05 * np.sin(9 * x) * np.cos(7 * y) + 0.3 * np.exp(-30 * (x**2 + y**2))
    vertices = np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], -1),
            np.stack([corner + 1, corner + side + 1, corner + side], -1),
        ]
    ).astype(np.int32)
    if order == "random":
        permutation = np.random.default_rng(0).permutation(len(vertices))
        vertices = vertices[permutation]
        triangles = np.argsort(permutation).astype(np.int32)[triangles]
    return vertices, triangles
