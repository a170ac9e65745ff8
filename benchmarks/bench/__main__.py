"""Compares this program with others and writes results/bench.json and docs/BENCHMARKS.md.

python -m benchmarks.bench [--only NAMES] [--turns 7] [--root_dir .] [--photos FOLDER] [--count 8], or `make bench`
"""

import argparse
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bench import convolution, growth, hierarchy, packing, programs, renderer, report, results, step
from benchmarks.bench.comparison import Benchmark, Samples, Settings, entry
from configs import schema

RESULTS = schema.REPOSITORY / "results" / "bench.json"
BENCHMARKS = (
    step.BENCHMARK,
    renderer.BENCHMARK,
    convolution.BENCHMARK,
    hierarchy.BENCHMARK,
    packing.BENCHMARK,
    programs.TEST_MODE,
    programs.COLD_START,
    programs.TRAINING,
)
GROWTH = "growth"
NAMES = (*(benchmark.name for benchmark in BENCHMARKS), GROWTH)


def bench(benchmarks: Sequence[Benchmark], settings: Settings, path: Path, origin: Mapping[str, str]) -> list[str]:
    """Measures benchmarks one after the other and merges their rows into a file; returns the names of failed ones."""
    failed = []
    for benchmark in benchmarks:
        print(f"{benchmark.name} ...", file=sys.stderr, flush=True)
        try:
            samples = benchmark.measure(settings)
        except Exception as error:  # the others are measured all the same; the exit code and the page say so
            traceback.print_exc()
            failed.append(benchmark.name)
            samples = {row.name: Samples(missing=f"failed: {error}") for row in benchmark.rows}
        entries = {row.name: entry(row, samples[row.name]) for row in benchmark.rows}
        results.merge(path, entries, benchmark.sizes, benchmark.packages, origin)
        for name, found in entries.items():
            target = {True: "met", False: "not met", None: found["missing"] or "no target"}[found["met"]]
            figures = f"ours {found['ours']}, baseline {found['peer']}, ratio {found['ratio']}"
            print(f"{name}: {figures} ({target})", flush=True)
    return failed


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"names, separated by commas, of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--turns", type=int, default=7, help="rounds of measuring (default: %(default)s)")
    parser.add_argument("--root_dir", type=Path, default=Path(), help="folder with data/ and checkpoints/")
    parser.add_argument("--photos", type=Path, help="photos for test mode (default: scikit-image's portrait)")
    parser.add_argument("--count", type=int, default=8, help="photos of a run of test mode (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="figures (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="the page to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    arguments.chosen = [name.strip() for name in arguments.only.split(",") if name.strip()] or list(NAMES)
    if unknown := [name for name in arguments.chosen if name not in NAMES]:
        parser.error(f"--only must name some of {', '.join(NAMES)}, got {', '.join(unknown)}")
    if arguments.turns < 1 or arguments.count < 1:
        parser.error("--turns and --count must be at least 1")
    return arguments


def write_page(page: Path, figures: Path) -> None:
    """Writes the page from a file of figures."""
    names = [curve.name for curve in growth.CURVES]
    report.write(page, BENCHMARKS, names, growth.SIZES, results.read(figures))


def main(argv: list[str] | None = None) -> int:
    arguments = parse(argv)
    settings = Settings(arguments.turns, arguments.root_dir, arguments.photos, arguments.count)
    chosen = [benchmark for benchmark in BENCHMARKS if benchmark.name in arguments.chosen]
    origin = results.origin()
    try:
        failed = bench(chosen, settings, arguments.results, origin)
        if GROWTH in arguments.chosen:
            curves = growth.measure(max(arguments.turns // 2, 1))  # as many turns would take half an hour
            results.merge(arguments.results, curves, growth.SIZES, convolution.BENCHMARK.packages, origin)
    finally:
        write_page(arguments.page, arguments.results)
    print(f"{arguments.results} and {arguments.page} hold all figures")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
