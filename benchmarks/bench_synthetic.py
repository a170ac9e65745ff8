"""Measures the seconds to render one synthetic photo, with and without everything added to the face model.

Run: OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 python -m benchmarks.bench_synthetic [--count 40] [--size 224]
"""

import argparse
import os
import platform
import statistics
import time

import numba
import numpy as np
import tensorflow as tf

from lib.synthetic.builtin.face_generator import load_face_model
from lib.synthetic.photos import PhotoSettings, SyntheticFaces

VARIANTS = {
    "everything": PhotoSettings(),
    "one sample per pixel": PhotoSettings(supersampling=1),
    "face model alone": PhotoSettings(
        detail=False, extra_light=False, surroundings=False, occluders=False, imaging=False
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="photos measured")
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()
    model = load_face_model()
    print(
        f"{args.size} px, {model.vertex_count} vertices, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, TensorFlow {tf.__version__}, "
        f"numba {numba.__version__}"
    )
    for name, settings in VARIANTS.items():
        start = time.perf_counter()
        faces = SyntheticFaces(model, args.size, seed=1, settings=settings)
        setup = time.perf_counter() - start
        # Render every kind of hair and accessory once, so that nothing is compiled during the measurement.
        for index in range(1000, 1040, 4):
            faces.sample(index)
        wall, cpu = [], []
        for index in range(args.count):
            start, start_cpu = time.perf_counter(), time.process_time()
            faces.sample(index)
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - start_cpu)
        print(
            f"{name:22s} median {statistics.median(wall):.3f} s a photo ({min(wall):.3f} .. {max(wall):.3f}), "
            f"processor time {statistics.median(cpu):.3f} s, set-up {setup:.1f} s"
        )


if __name__ == "__main__":
    main()
