"""Measures images per second when packing RGBA PNGs and reading records, compared with the published float32 format.

Run: python -m benchmarks.bench_records [--count 400] [--size 224] [--repeats 3]
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from lib.records.packing import PngFolder, pack
from lib.records.record_file import RecordReader


def crop(seed: int, size: int) -> np.ndarray:
    """Synthetic crop about as compressible as a photo: smooth colours with noise, and an oval mask of skin."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 200, (8, 8, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    rgb = np.clip(np.asarray(coarse) + rng.normal(0, 4, (size, size, 3)), 0, 255)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.dstack([rgb, 255 * (x**2 / 0.5 + y**2 / 0.8 < 1)]).astype(np.uint8)


def pack_as_the_original(folder: Path, names: list[str], path: Path) -> None:
    """Writes crops in the published format, one after the other: float32 in [-1, 1], alpha in [0, 1]."""
    with open(path, "wb") as stream:
        for name in names:
            image = np.asarray(Image.open(folder / name))
            values = image / [[[127.5, 127.5, 127.5, 255.0]]] - [[[1.0, 1.0, 1.0, 0.0]]]
            stream.write(values.astype(np.float32))
            stream.flush()


def rate(action: Callable[[], object], count: int, repeats: int) -> str:
    """Median and range of images per second, as text."""
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        rates.append(count / (time.perf_counter() - start))
    return f"{statistics.median(rates):9.0f} images/s  ({min(rates):.0f} .. {max(rates):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(
        f"{args.count} crops of {args.size} px, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Pillow {PIL.__version__}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = [f"{i:06d}.png" for i in range(args.count)]
        for i, name in enumerate(names):
            Image.fromarray(crop(i, args.size)).save(folder / name)
        path, old = folder / "face.bin", folder / "old.bin"
        source = PngFolder(folder, names, args.size)

        original = rate(lambda: pack_as_the_original(folder, names, old), args.count, args.repeats)
        print(f"pack float32, one by one     {original}")
        for workers in (1, 2, 4):
            print(
                f"pack records, {workers} workers      "
                f"{rate(lambda w=workers: pack(source, path, w), args.count, args.repeats)}"
            )
        order = np.random.default_rng(0).permutation(args.count)
        for label, file in (("records", path), ("the original's", old)):
            reader = RecordReader(file, args.size)
            print(f"{label:15} {file.stat().st_size / 1e6:7.1f} MB", end="      ")
            print(rate(lambda r=reader: [r.batch(order[i : i + 4]) for i in range(0, args.count, 4)],
                       args.count, args.repeats), "random batches of 4")  # fmt: skip
        print(f"verify                       {rate(RecordReader(path).verify, args.count, args.repeats)}")


if __name__ == "__main__":
    main()
