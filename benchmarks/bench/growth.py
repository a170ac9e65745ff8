"""Times of renderer, convolution and hierarchy as vertices, image and batch grow, with exponents."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.bench import convolution, renderer
from benchmarks.bench.side import in_turns
from benchmarks.meshes import face_like_sheet
from benchmarks.turns import Figures

VERTICES = (2_500, 10_000, 35_721, 140_000)
SIDES = (64, 128, 224, 512)
BATCHES = (1, 2, 4, 8, 16, 32)
CHANNELS = 16
# Curve -> what grows, and its values.
CURVES: dict[str, tuple[str, Sequence[int]]] = {
    "renderer with vertex gradient, vertices": ("vertices", VERTICES),
    "renderer with vertex gradient, image": ("px", SIDES),
    "renderer with vertex gradient, batch": ("images", BATCHES),
    "convolution with gradient, vertices": ("vertices", VERTICES),
    "convolution with gradient, batch": ("images", BATCHES),
    "hierarchy, vertices": ("vertices", VERTICES),
}
SIZES = (
    "12 channels, batch 4, 224 px, 35,721 vertices where they do not grow; convolution with K = 6 and 16 channels in "
    "and out; the exponent is that of the growth between two neighbouring sizes"
)


def ours() -> Callable[[int], Figures]:
    """All points of all curves, one after the other; each is prepared, measured and dropped."""
    renderer.start_as_training_does()
    return lambda count: {
        f"{name}/{value}": _shortest(_step(name, value), count)
        for name, (_, values) in CURVES.items()
        for value in values
    }


def _step(name: str, value: int) -> Callable[[], Any]:
    what, grows = name.split(", ")
    vertices = value if grows == "vertices" else renderer.VERTICES
    batch = value if grows == "batch" else renderer.BATCH
    if what == "hierarchy":
        from lib.mesh_sampling import build_hierarchy

        mesh = face_like_sheet(vertices)
        return lambda: build_hierarchy(*mesh) and []
    if what.startswith("convolution"):
        return convolution.our_step(convolution.sheet_laplacian(vertices), CHANNELS, batch)
    side = value if grows == "image" else 224
    return renderer.calls(renderer.render, vertices, 12, batch, side)["vertex gradient"]


def _shortest(step: Callable[[], Any], count: int) -> float:
    """Shortest of `count` calls in milliseconds, after one that compiles."""
    renderer.milliseconds(step, 1)
    return min(renderer.milliseconds(step, 1) for _ in range(count))


def measure(turns: int) -> dict[str, dict[str, Any]]:
    """Entries of the curves in bench.json."""
    found, _ = in_turns("growth", ("ours",), turns, 3)
    entries = {}
    for name, (unit, values) in CURVES.items():
        times = [statistics.median(found["ours"][f"{name}/{value}"]) for value in values]
        entries[name] = {
            "x": list(values),
            "x_unit": unit,
            "ours": [float(f"{milliseconds:.4g}") for milliseconds in times],
            "unit": "ms",
            "exponents": exponents(values, times),
        }
    return entries


def exponents(sizes: Sequence[float], times: Sequence[float]) -> list[float]:
    """Exponents of the growth between neighbouring sizes: 1 is linear."""
    points = list(zip(sizes, times, strict=True))
    return [
        round(math.log(after[1] / before[1]) / math.log(after[0] / before[0]), 2)
        for before, after in itertools.pairwise(points)
    ]
