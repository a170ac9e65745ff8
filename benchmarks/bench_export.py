"""Measures time and memory of exporting one photo: scikit-image's portrait, reconstructed by a configuration's run.

python -m benchmarks.bench_export [--config FILE.yaml] [--sizes 1024 2048] [--repeats 5] [section.key=value ...]
"""

import argparse
import dataclasses
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048], help="sides of the textures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--config", help="configuration (default: configs/default.yaml)")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    import cv2
    import skimage.data
    from PIL import Image

    from configs import schema
    from model.pipeline import load_pipeline, restore_texture_network
    from model.reconstruction.export import Exporter
    from model.reconstruction.face_reconstructor import FaceReconstructor

    cv2.setNumThreads(1)
    config = schema.load(arguments.config, arguments.overrides)
    pipeline = load_pipeline(config)
    restore_texture_network(pipeline)
    reconstruct = FaceReconstructor(config, pipeline)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "portrait.png"
        Image.fromarray(skimage.data.astronaut()).save(photo)
        result = reconstruct(photo)
        shown = reconstruct.export
        print(f"{shown.morphable.vertex_count} vertices, one thread; wall-clock and processor seconds")
        for size in arguments.sizes:
            start = time.perf_counter()
            export = Exporter(shown.morphable, shown.camera, shown.formats, size, True, shown.cache, chart=shown.chart)
            export.prepare()
            prepared = time.perf_counter() - start
            wall, processor = [], []
            for _ in range(arguments.repeats + 1):
                start, started = time.perf_counter(), time.process_time()
                # A new result each time: one keeps its textures.
                export(Path(folder) / str(size), dataclasses.replace(result, export=export))
                wall.append(time.perf_counter() - start)
                processor.append(time.process_time() - started)
            written = sum(path.stat().st_size for path in (Path(folder) / str(size)).iterdir())
            print(
                f"{size:5d} texels: {statistics.median(wall[1:]):6.2f} s ({min(wall[1:]):.2f} to {max(wall[1:]):.2f}), "
                f"processor {statistics.median(processor[1:]):.2f} s, first call {wall[0]:.2f} s, "
                f"prepared in {prepared:.2f} s; {written / 1e6:.1f} MB; peak memory so far "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"
            )


if __name__ == "__main__":
    main()
