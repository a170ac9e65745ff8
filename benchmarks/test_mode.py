"""Times test mode: one process beside all cores, with and without the fit; first result; cold start of a single photo.

python -m benchmarks.test_mode [--photos FOLDER] [--count 100] [--rounds 3] [--root_dir .] [--workers 0]

Both variants run in turns, after a first one that fills caches, so their ratio holds on a busy machine. Every run is a
new process of main.py; its times include the start. The folder's photos are repeated until there are --count; by
default, scikit-image's portrait. `first` is the time until the first metrics.json, `processor` the processor time of
all processes, which depends less than the others on what else the machine does, `memory` the peak of all processes
together (each with its shared libraries, so that the sum is an upper bound). The runs' coefficients must agree byte for
byte.
"""

import argparse
import dataclasses
import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.turns import rounds

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.02
PARTIAL_SUCCESS = 3  # of main.py, which this module does not import because it measures its start


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of test mode: seconds in total and until the first result, processor seconds, peak memory in bytes."""

    seconds: float
    first: float
    processor: float
    memory: int


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--count", type=int, default=100, help="photos in each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root_dir", type=Path, default=Path(), help="folder with data/ and checkpoints/")
    parser.add_argument("--workers", type=int, default=0, help="processes of the second variant; 0: one per core")
    return parser.parse_args()


def write_photos(folder: Path, source: Path | None, count: int) -> None:
    """Fills a folder with `count` photos, those of `source` again and again, or scikit-image's portrait.

    Landmark and mask files beside a photo are copied with it.
    """
    from lib.face_image.photo_io import photo_paths
    from lib.sidecar.sidecar_files import sidecar_files

    folder.mkdir()
    if source is None:
        import skimage.data
        from PIL import Image

        source = folder.parent / "portrait"
        source.mkdir()
        Image.fromarray(skimage.data.astronaut()[:300, 80:380]).save(source / "portrait.png")
    beside = sidecar_files(photo_paths(source))
    for number, (path, files) in zip(range(count), itertools.cycle(beside.items()), strict=False):
        for file in (path, *files):
            shutil.copy(file, folder / f"{number:04d}{file.name.removeprefix(path.stem)}")


def tree_memory(root: int) -> int:
    """Resident bytes of a process and all its descendants (Linux)."""
    total, waiting = 0, [root]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            total += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in (process / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return total


def run(photos: Path, output: Path, root_dir: Path, *options: str) -> Run:
    """Runs test mode on a folder."""
    command = [sys.executable, str(ROOT / "main.py"), "--mode", "test", "--input", str(photos), "--output", str(output)]
    command += ["--root_dir", str(root_dir.resolve()), *options]
    codes = (0, PARTIAL_SUCCESS)  # photos that fail are counted, see `left_out`
    return watch(command, lambda: next(output.glob("*/metrics.json"), None) is not None, codes)


def left_out(output: Path) -> int:
    """Number of photos that a run of test mode could not reconstruct."""
    failed = output / "failed.txt"
    return len(failed.read_text(encoding="utf-8").splitlines()) if failed.is_file() else 0


def watch(command: list[str], has_result: Callable[[], bool], codes: Collection[int] = (0,)) -> Run:
    """Runs a program; `has_result` is asked until it finds the program's first result.

    Raises:
      RuntimeError: the program ended with none of these exit codes, or without a result.
    """
    started, first, memory, processor = time.monotonic(), None, 0, _processor_seconds()
    # A file, because a program that fills a pipe which nobody reads waits for ever.
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=ROOT) as process:
            while process.poll() is None:
                memory = max(memory, tree_memory(process.pid))
                if first is None and has_result():
                    first = time.monotonic() - started
                time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        if first is None and has_result():
            first = seconds
        if process.returncode not in codes or first is None:
            errors.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} must end with a result, got exit code {process.returncode}:\n{errors.read()}"
            )
    return Run(seconds, first, _processor_seconds() - processor, memory)


def _processor_seconds() -> float:
    """Processor time of all ended child processes and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def describe(name: str, runs: list[Run], count: int) -> None:
    """Prints medians and ranges."""
    times = [run.seconds for run in runs]
    print(
        f"{name:28s} {statistics.median(times):7.1f} s ({min(times):.1f} to {max(times):.1f}), "
        f"{statistics.median(times) / count:5.2f} s a photo, first {statistics.median(r.first for r in runs):5.1f} s, "
        f"processor {statistics.median(run.processor for run in runs):5.1f} s, "
        f"memory {max(r.memory for r in runs) / 2**30:.2f} GiB",
        flush=True,
    )


def compare(name: str, folder: Path, arguments: argparse.Namespace, *options: str) -> None:
    """Runs one process and all cores in turns, after one that does not count, and prints both with their ratio."""
    runs: dict[str, list[Run]] = {"1": [], str(arguments.workers): []}
    for turn, order in rounds(list(runs), arguments.rounds):
        for workers in order:
            output = folder / f"out{workers}"
            shutil.rmtree(output, ignore_errors=True)
            done = run(folder / "photos", output, arguments.root_dir, "--workers", workers, *options)
            if turn:
                runs[workers].append(done)
        check_equal(folder / "out1", folder / f"out{arguments.workers}")
    for workers, done in runs.items():
        describe(f"{name}, workers {workers}", done, arguments.count)
    one, several = (statistics.median(run.seconds for run in done) for done in runs.values())
    print(f"{name}: {one / several:.2f} times as fast on all cores", flush=True)


def check_equal(one: Path, other: Path) -> None:
    """Raises RuntimeError if the coefficients of two output folders differ, or are of different photos."""
    names, others = (
        {path.relative_to(folder) for path in folder.glob("*/coefficients.json")} for folder in (one, other)
    )
    different = [name for name in names & others if (one / name).read_bytes() != (other / name).read_bytes()]
    if wrong := sorted(map(str, {*different, *(names ^ others)})):
        raise RuntimeError(f"coefficients must be equal in {one} and {other}, got differences in {wrong}")
    if not names:
        raise RuntimeError(f"coefficients must be in {one} and {other}, got none")


def main() -> None:
    arguments = parse_arguments()
    if arguments.workers == 1 or arguments.count < 1 or arguments.rounds < 1:
        raise SystemExit("--workers must not be 1, --count and --rounds at least 1")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            measure(Path(temporary), arguments)
    except RuntimeError as error:
        raise SystemExit(str(error)) from None


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Makes all runs below a folder and prints their figures."""
    write_photos(folder / "photos", arguments.photos, arguments.count)
    (folder / "single").mkdir()
    for file in (folder / "photos").glob("0000[._]*"):
        shutil.copy(file, folder / "single")
    single = [
        run(folder / "single", folder / f"single{number}", arguments.root_dir)
        for number in range(arguments.rounds + 1)  # the first one compiles and fills caches
    ]
    describe("one photo, cold start", single[1:], 1)
    compare("with fit", folder, arguments)
    compare("--fit 0", folder, arguments, "--fit", "0")


if __name__ == "__main__":
    main()
