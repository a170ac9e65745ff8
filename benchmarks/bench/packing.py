"""Packing of crops beside the published loop to float32."""

import os
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings
from benchmarks.bench_records import crop, pack_as_the_original
from benchmarks.turns import rounds
from lib.records.packing import PngFolder, pack

COUNT, SIDE = 400, 224


def measure(settings: Settings) -> dict[str, Samples]:
    rates: dict[str, list[float]] = {"ours": [], "loop": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = [f"{i:06d}.png" for i in range(COUNT)]
        for i, name in enumerate(names):
            Image.fromarray(crop(i, SIDE)).save(folder / name)
        source, cores = PngFolder(folder, names, SIDE), os.cpu_count() or 1
        sides = {
            "ours": lambda: pack(source, folder / "face.bin", cores),
            "loop": lambda: pack_as_the_original(folder, names, folder / "loop.bin"),
        }
        for turn, order in rounds(list(sides), settings.turns):
            for name in order:
                started = time.perf_counter()
                sides[name]()
                if turn:
                    rates[name].append(COUNT / (time.perf_counter() - started))
    return {ROWS[0].name: Samples(rates["ours"], rates["loop"])}


ROWS = (Row("packing", "crops/s", "Pillow loop to float32", ratio=4.0, more_is_better=True),)
BENCHMARK = Benchmark(
    "packing",
    "Packing",
    f"{COUNT} RGBA PNGs of {SIDE} px, one thread per core; the loop writes float32 one by one, as published",
    ROWS,
    ("numpy", "pillow"),
    measure,
)
