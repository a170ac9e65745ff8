"""Times of renderer, convolution and hierarchy as vertices, image and batch grow, with exponents."""

import dataclasses
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
CALLS = 3  # of a turn; the shortest counts
SIZES = (
    "12 channels, batch 4, 224 px, 35,721 vertices where they do not grow; convolution with K = 6 and 16 channels in "
    "and out; the exponent is that of the growth between two neighbouring sizes"
)


@dataclasses.dataclass(frozen=True)
class Curve:
    """Times of a call as one of its sizes grows.

    Attributes:
      name: key in bench.json.
      unit: unit of the size.
      values: the sizes.
      step: prepares the call for a size.
    """

    name: str
    unit: str
    values: Sequence[int]
    step: Callable[[int], Callable[[], Any]]


def _rendering(vertices: int = renderer.VERTICES, side: int = 224, batch: int = renderer.BATCH) -> Callable[[], Any]:
    return renderer.calls(renderer.render, vertices, 12, batch, side)["vertex gradient"]


def _convolving(vertices: int = renderer.VERTICES, batch: int = renderer.BATCH) -> Callable[[], Any]:
    return convolution.our_step(convolution.sheet_laplacian(vertices), CHANNELS, batch)


def _coarsening(vertices: int) -> Callable[[], Any]:
    from lib.mesh_sampling import build_hierarchy

    mesh = face_like_sheet(vertices)
    return lambda: build_hierarchy(*mesh) and []


CURVES = (
    Curve("renderer with vertex gradient, vertices", "vertices", VERTICES, _rendering),
    Curve("renderer with vertex gradient, image", "px", SIDES, lambda side: _rendering(side=side)),
    Curve("renderer with vertex gradient, batch", "images", BATCHES, lambda batch: _rendering(batch=batch)),
    Curve("convolution with gradient, vertices", "vertices", VERTICES, _convolving),
    Curve("convolution with gradient, batch", "images", BATCHES, lambda batch: _convolving(batch=batch)),
    Curve("hierarchy, vertices", "vertices", VERTICES, _coarsening),
)


def ours() -> Callable[[int], Figures]:
    """All points of all curves, one after the other; each is prepared, measured and dropped."""
    renderer.start_as_training_does()
    return lambda count: {
        f"{curve.name}/{value}": _shortest(curve.step(value), count) for curve in CURVES for value in curve.values
    }


def _shortest(step: Callable[[], Any], count: int) -> float:
    """Shortest of `count` calls in milliseconds, after one that compiles."""
    renderer.milliseconds(step, 1)
    return min(renderer.milliseconds(step, 1) for _ in range(count))


def measure(turns: int) -> dict[str, dict[str, Any]]:
    """Entries of the curves in bench.json."""
    found, _ = in_turns("growth", ("ours",), turns, CALLS)
    entries = {}
    for curve in CURVES:
        times = [statistics.median(found["ours"][f"{curve.name}/{value}"]) for value in curve.values]
        entries[curve.name] = {
            "x": list(curve.values),
            "x_unit": curve.unit,
            "ours": [float(f"{milliseconds:.4g}") for milliseconds in times],
            "unit": "ms",
            "exponents": exponents(curve.values, times),
            "turns": turns,
        }
    return entries


def exponents(sizes: Sequence[float], times: Sequence[float]) -> list[float]:
    """Exponents of the growth between neighbouring sizes: 1 is linear."""
    points = list(zip(sizes, times, strict=True))
    return [
        round(math.log(after[1] / before[1]) / math.log(after[0] / before[0]), 2)
        for before, after in itertools.pairwise(points)
    ]
