"""The mesh hierarchy beside one made with libigl's qslim."""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings
from benchmarks.bench.side import in_turns, samples_of
from benchmarks.meshes import face_like_sheet
from benchmarks.turns import Figures

VERTICES = 35_721
FACTORS = (4, 4, 4, 4)


def ours() -> Callable[[int], Figures]:
    """Our hierarchy; its coarse vertices are a subset of the fine ones."""
    from lib.mesh_sampling import build_hierarchy

    vertices, triangles = face_like_sheet(VERTICES)

    def measure(count: int) -> Figures:
        started = time.perf_counter()
        for _ in range(count):
            hierarchy = build_hierarchy(vertices, triangles, FACTORS)
        seconds = (time.perf_counter() - started) / count
        pairs = zip(hierarchy.up, hierarchy.vertices[1:], strict=True)
        return {"time": seconds} | errors(hierarchy.vertices[:-1], [up @ coarse for up, coarse in pairs])

    return measure


def qslim() -> Callable[[int], Figures]:
    """Levels of qslim, which moves the vertices it keeps, with our matrices on them."""
    from lib.mesh_sampling.graph import adjacency_matrix, normalised_laplacian
    from lib.mesh_sampling.transfer import upsampling_matrix

    mesh = face_like_sheet(VERTICES)
    budgets = triangle_budgets(*mesh)

    def measure(count: int) -> Figures:
        started = time.perf_counter()
        for _ in range(count):
            levels, round_trips = [mesh], []
            for budget in budgets:
                fine, (coarse, triangles) = levels[-1][0], collapse(*levels[-1], budget)
                levels.append((coarse, triangles))
                # Kept vertices have moved, so that all vertices go to their closest point.
                up = upsampling_matrix(fine, coarse, triangles, np.zeros(0, np.int64))
                round_trips.append(up @ coarse)
            for vertices, triangles in levels:
                normalised_laplacian(adjacency_matrix(triangles, len(vertices)))
        seconds = (time.perf_counter() - started) / count
        return {"time": seconds} | errors([vertices for vertices, _ in levels[:-1]], round_trips)

    return measure


def triangle_budgets(vertices: np.ndarray, triangles: np.ndarray) -> list[int]:
    """Numbers of triangles at which qslim leaves as many vertices as our levels have."""
    budgets = []
    for factor in FACTORS:
        target = -(-len(vertices) // factor)
        budget = len(triangles) // factor
        for _ in range(6):
            coarse, coarse_triangles = collapse(vertices, triangles, budget)
            if len(coarse) == target:
                break
            budget += 2 * (target - len(coarse))
        budgets.append(budget)
        vertices, triangles = coarse, coarse_triangles
    return budgets


def collapse(vertices: np.ndarray, triangles: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles that qslim leaves."""
    import igl

    moved, kept, _, _ = igl.qslim(
        np.asfortranarray(vertices, np.float64), np.asfortranarray(triangles, np.int32), budget
    )
    return np.ascontiguousarray(moved), np.ascontiguousarray(kept, np.int32)


def errors(fine: list[np.ndarray], round_trips: list[np.ndarray]) -> Figures:
    """Root mean square distance of each level's vertices from where a round trip leaves them, in 1/1000 of the mesh."""
    diagonal = np.linalg.norm(np.ptp(fine[0], axis=0))
    return {
        f"error of step {i + 1}": float(1e3 * np.sqrt(((back - vertices) ** 2).sum(axis=1).mean()) / diagonal)
        for i, (vertices, back) in enumerate(zip(fine, round_trips, strict=True))
    }


def measure(settings: Settings) -> dict[str, Samples]:
    found, missing = in_turns("hierarchy", ("ours", "qslim"), settings.turns, 1)
    return {row.name: samples_of(found, "ours", "qslim", row.figure, missing) for row in ROWS}


PEER = "libigl's qslim"
ROWS = (
    Row("hierarchy: time", "s", PEER, limit=1.0, figure="time"),
    *(
        Row(f"hierarchy: {figure}", "1/1000", PEER, ratio=1.0, figure=figure)
        for figure in (f"error of step {i + 1}" for i in range(len(FACTORS)))
    ),
)
BENCHMARK = Benchmark(
    "hierarchy",
    "Mesh hierarchy",
    "a sheet of 35,721 vertices, four steps by a factor of 4, all matrices; the error is the root mean square distance "
    "of a level's vertices from their place after a round trip through the next level, in thousandths of the mesh's "
    "diagonal. qslim moves the vertices that it keeps; ours stay a subset, as published.",
    ROWS,
    ("numpy", "scipy", "meshoptimizer", "libigl"),
    measure,
)
