"""The training step at paper scale beside the published formulation of it."""

import tempfile
from pathlib import Path

from benchmarks import training_step
from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings

STEPS = 2  # of a turn


def measure(settings: Settings) -> dict[str, Samples]:
    with tempfile.TemporaryDirectory() as folder:
        _, found = training_step.measure(Path(folder), settings.turns, STEPS, [])
    ours, published = (found[side] for side in training_step.SIDES)
    return {
        "training step": Samples(ours["seconds"], published["seconds"]),
        "training step: memory": Samples(ours["gib"], published["gib"]),
    }


PEER = "published formulation"
BENCHMARK = Benchmark(
    "step",
    "Training step at paper scale",
    "35,659 vertices, 224 px, batch 4, `normal`, a ResNet-50 at 160 px in place of FaceNet "
    "(benchmarks/training_step.py, benchmarks/published_step.py); memory is the peak of the process. Ours reads the "
    "frozen networks' outputs for the photo, computed once per crop, from a cache, as every epoch but the first does; "
    "the published step computes them each time",
    (
        Row("training step", "s", PEER, ratio=5.0),
        Row("training step: memory", "GiB", PEER, ratio=2.0),
    ),
    ("tensorflow", "numpy", "numba"),
    measure,
)
