"""Measures speed and memory of --mode prepare on copies of scikit-image's portrait, in one or several processes.

python -m benchmarks.bench_prepare [--photos 200] [--side 600] [--warm-up 10] [--workers 1] [--folder DIR]

With `--workers 1`, it measures one core: photos per second of wall-clock and of processor time (the latter is the rate
on an otherwise idle core), and at several points the growth of the process since the end of the warm-up. With more
workers, it times the whole program including its start. `--folder` uses the photos in a folder instead of the portrait.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--side", type=int, default=600)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


def resident_megabytes() -> float:
    """Resident memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_photos(folder: Path, arguments: argparse.Namespace) -> list[Path]:
    """Writes `photos` JPEGs of about `side` pixels, in a few different sizes as in a real folder."""
    import skimage.data
    from PIL import Image, ImageOps

    if arguments.folder:
        images = [Image.open(path).convert("RGB") for path in sorted(arguments.folder.glob("*.*g"))]
    else:
        images = [Image.fromarray(skimage.data.astronaut()[:350, 60:410])]
    paths = []
    for number, image in zip(range(arguments.photos), itertools.cycle(images), strict=False):
        side = arguments.side - 8 * (number % 7)
        paths.append(folder / f"{number:05d}.jpg")
        ImageOps.contain(image, (side, side)).save(paths[-1], quality=92)
    return paths


def one_process(config, paths: list[Path], crops: Path, warm_up: int) -> None:
    """Prints the rates and memory growth of a single process."""
    from model.preparation.job import Job
    from model.preparation.prepare import make_preparer

    prepare = make_preparer(config)
    started = None
    for number, path in enumerate(paths):
        if number == warm_up:
            started, processor, memory = time.perf_counter(), time.process_time(), resident_megabytes()
        record = prepare(Job(path, path.name, crops / f"{path.stem}.png", ""))
        assert record["crops"], record["left_out"]
        done = number + 1 - warm_up
        if started and (done % max(len(paths) // 5, 1) == 0 or number == len(paths) - 1):
            wall, used = time.perf_counter() - started, time.process_time() - processor
            print(
                f"{done:5d} photos: {done / wall:.2f} per wall-clock second, {done / used:.2f} per processor second, "
                f"{resident_megabytes():.0f} MB, {resident_megabytes() - memory:+.1f} MB since warm-up",
                flush=True,
            )


def main():
    arguments = parse_arguments()
    from configs import schema
    from model.preparation.prepare import prepare_folder

    config = schema.load(overrides={"data.workers": arguments.workers})
    with tempfile.TemporaryDirectory() as folder:
        photos, output = Path(folder) / "photos", Path(folder) / "out"
        photos.mkdir()
        paths = write_photos(photos, arguments)
        if arguments.workers == 1:
            one_process(config, paths, output, arguments.warm_up)
            return
        started = time.perf_counter()
        prepare_folder(config, photos, output)
        print(f"{arguments.photos / (time.perf_counter() - started):.2f} photos per second, including the start")


if __name__ == "__main__":
    main()
