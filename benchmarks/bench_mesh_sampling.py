"""Measures time and quality of the mesh hierarchy: python -m benchmarks.bench_mesh_sampling [vertices ...]"""

import argparse
import importlib.metadata
import statistics
import time

import numpy as np

from lib.mesh_sampling import build_hierarchy


def face_like_sheet(vertex_count, order="rows"):
    """An open, bumpy sheet of about `vertex_count` vertices; order "rows" or "random"."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vertices", type=int, nargs="*", default=[10000, 35709])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    packages = ("numpy", "scipy", "meshoptimizer", "libigl")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    for count in arguments.vertices:
        vertices, triangles = face_like_sheet(count)
        seconds = []
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            hierarchy = build_hierarchy(vertices, triangles)
            seconds.append(time.perf_counter() - start)
        diagonal = np.linalg.norm(np.ptp(vertices, axis=0))
        errors = [
            np.sqrt((((up @ (down @ v)) - v) ** 2).sum(1).mean()) / diagonal
            for v, down, up in zip(hierarchy.vertices, hierarchy.down, hierarchy.up, strict=False)
        ]
        print(
            f"{len(vertices)} vertices, {len(triangles)} triangles: levels {hierarchy.level_sizes}, "
            f"median {statistics.median(seconds):.2f} s (from {min(seconds):.2f} to {max(seconds):.2f}); "
            "round trip / diagonal " + " ".join(f"{error:.5f}" for error in errors)
        )


if __name__ == "__main__":
    main()
