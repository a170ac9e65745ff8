"""The harness of `make bench`: ratios and bars, merged files, the page, sides in turns."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.bench import __main__ as program
from benchmarks.bench import convolution, growth, report, results
from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings, entry
from benchmarks.published_step import chebyshev_convolution, sparse_tensor
from benchmarks.turns import MissingPeer, Side, take_turns
from model.networks.graph_layers import rescaled_laplacian
from tests.support.helpers import ROOT, assert_close

RUN = {"machine": "a machine", "commit": "abc", "date": "2026-01-02"}
ORIGIN = {"sizes": "small", "versions": {"numpy": "2"}} | RUN


@pytest.mark.parametrize(
    ("row", "ours", "peer", "ratio", "met"),
    [
        # The median of the turns' ratios, not the ratio of the medians.
        (Row("a", "ms", "peer", ratio=3.0), [1, 10, 2], [3, 20, 8], 3.0, True),
        (Row("a", "ms", "peer", ratio=3.1), [1, 10, 2], [3, 20, 8], 3.0, False),
        (Row("a", "crops/s", "peer", ratio=2.0, more_is_better=True), [40], [20], 2.0, True),
        (Row("a", "crops/s", "peer", ratio=2.0, more_is_better=True), [20], [40], 0.5, False),
        (Row("a", "s", limit=6.0), [5, 6, 7], [], None, True),
        (Row("a", "s", limit=6.0), [5, 7, 7], [], None, False),
        (Row("a", "updates/s", limit=30.0, more_is_better=True), [29], [], None, False),
        (Row("a", "s", "peer", ratio=2.0, limit=1.0), [0.5], [], None, None),
        (Row("a", "s", "peer", ratio=2.0, limit=1.0), [1.5], [], None, False),
        (Row("a", "s", "peer"), [1], [2], 2.0, None),
        (Row("a", "s", "peer", limit=1.0), [], [], None, None),
    ],
)
def test_ratio_and_bar(row, ours, peer, ratio, met):
    found = entry(row, Samples(ours, peer))
    assert (found["ratio"], found["met"]) == (ratio, met)


def test_an_entry_holds_medians_and_spreads():
    found = entry(Row("a", "ms", "peer", ratio=2.0), Samples([1, 3, 2], [4, 9, 4]))
    assert (found["ours"], found["peer"]) == (2, 4)
    assert found["spread"] == {"ours": [1, 3], "peer": [4, 9], "ratio": [2, 4]}
    assert found["bar"] == {"ratio": 2.0, "limit": None}


def merged(path, entries, commit="abc"):
    """The file after a merge of a run at a commit."""
    return results.merge(path, entries, "small", ("numpy",), RUN | {"commit": commit})


def test_rows_that_are_not_measured_stay_with_their_origin(tmp_path):
    path, row = tmp_path / "bench.json", Row("a", "ms", "peer")
    merged(path, {"a": entry(row, Samples([1], [2])), "b": entry(row, Samples([3], [4]))})
    merged(path, {"b": entry(row, Samples([5], [6])), "c": entry(row, Samples(missing="none"))}, "def")
    merged(path, {"a": entry(row, Samples(missing="failed"))}, "ghi")
    found = json.loads(path.read_text())
    assert {name: (kept["ours"], kept["commit"]) for name, kept in found.items()} == {
        "a": (1, "abc"),
        "b": (5, "def"),
        "c": (None, "def"),
    }


def test_a_run_that_measured_less_keeps_the_figures_and_is_told(tmp_path):
    path, row = tmp_path / "bench.json", Row("one: a", "ms", "peer", ratio=2.0)
    merged(path, {row.name: entry(row, Samples([1], [2]))})
    for samples, why in ((Samples([3], missing="no compiler"), "no compiler"), (Samples(missing="by zero"), "by zero")):
        found = merged(path, {row.name: entry(row, samples)}, "def")
        assert (found[row.name]["ours"], found[row.name]["peer"], found[row.name]["commit"]) == (1, 2, "abc")
        page = report.page_text((trial("one", (row,), None),), (), "Sizes", found)
        assert f"Last run of `a`: 2026-01-02 at def: {why}; the figures are those of the run before." in page
    assert "Last run" not in report.page_text(
        (trial("one", (row,), None),), (), "Sizes", merged(path, {row.name: entry(row, Samples([5], [6]))}, "ghi")
    )


def trial(name: str, rows: tuple[Row, ...], measure) -> Benchmark:
    return Benchmark(name, f"Trial of {name}", "small", rows, ("numpy",), measure)


def test_a_benchmark_that_fails_does_not_stop_the_others(tmp_path, capsys):
    def fail(settings):
        raise ZeroDivisionError("by zero")

    rows = Row("one: fast", "ms", "peer", ratio=2.0), Row("two: slow", "ms", "peer", ratio=2.0)
    benchmarks = (
        trial("one", rows[:1], fail),
        trial("two", rows[1:], lambda settings: {"two: slow": Samples([3.0], [2.0])}),
    )
    path = tmp_path / "bench.json"
    assert program.bench(benchmarks, Settings(1, tmp_path, None, 1), path, RUN) == ["one"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    page = report.page_text(benchmarks, (), "sizes", results.read(path))
    assert "Missing: failed: by zero." in page
    assert "| fast | not measured | peer |  | ratio 2 |  |" in page
    assert "| slow | 3 ms | peer: 2 | 0.67 | ratio 2 | no |" in page


def test_a_baseline_without_figures_is_named_below_the_table_only():
    row = Row("one: a", "s", "peer", limit=6.0)
    found = {row.name: entry(row, Samples([5.0], missing="peer is not installed")) | ORIGIN}
    page = report.page_text((trial("one", (row,), None),), (), "Sizes", found)
    assert "| a | 5 s |  |  | 6 s at most | yes |" in page
    assert "No baseline: peer is not installed." in page


def test_the_page_shows_spread_limit_origin_and_growth():
    row = Row("one: rate", "crops/s", "peer", ratio=2.0, limit=30.0, more_is_better=True)
    entries = {
        "one: rate": entry(row, Samples([40.0, 50.0, 45.0], [20.0, 20.0, 20.0])) | ORIGIN,
        "curve": {"x": [10, 1000], "x_unit": "px", "ours": [2.0, 20.0], "unit": "ms", "exponents": [0.5]} | ORIGIN,
    }
    page = report.page_text((trial("one", (row,), None),), ("curve",), "Sizes", entries)
    assert (
        "| rate | 45 (40 to 50) crops/s | peer: 20 | 2.25 (2.00 to 2.50) | ratio 2, 30 crops/s at least | yes |" in page
    )
    assert "(last: 2026-01-02 at abc, 3 rounds)" in page
    assert "| time, exponent | 2 ms | 20 ms, 0.50 |" in page
    assert "- a machine: numpy 2" in page


def test_machines_are_told_apart_where_there_are_several_and_inputs_are_named():
    row, other = Row("one: a", "s"), Row("two: b", "s")
    here = entry(row, Samples([1.0], inputs="100 photos from the folder 'faces'")) | ORIGIN
    there = entry(other, Samples([2.0])) | ORIGIN | {"machine": "another one"}
    benchmarks = trial("one", (row,), None), trial("two", (other,), None)
    page = report.page_text(benchmarks, (), "Sizes", {row.name: here, other.name: there})
    assert "(last: 2026-01-02 at abc, 1 round, 100 photos from the folder 'faces', on a machine)" in page
    assert "(last: 2026-01-02 at abc, 1 round, on another one)" in page
    assert "on a machine)" not in report.page_text(benchmarks, (), "Sizes", {row.name: here})


def test_the_page_is_that_of_the_stored_figures_whose_commits_exist(tmp_path):
    program.write_page(tmp_path / "page.md", program.RESULTS)
    assert (tmp_path / "page.md").read_text() == report.PAGE.read_text()
    found = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.stdout.strip() != "false":
        pytest.skip("needs the history of the repository")
    commits = {known["commit"].rstrip("+") for known in results.read(program.RESULTS).values()}
    for commit in commits:
        here = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
        assert subprocess.run(here, cwd=ROOT, check=False).returncode == 0, commit


def test_the_exponent_is_that_between_neighbouring_sizes():
    assert growth.exponents([1, 10, 100], [1.0, 10.0, 10.0]) == [1.0, 0.0]


def test_the_command_refuses_unknown_names_and_writes_the_page(tmp_path, capsys):
    with pytest.raises(SystemExit):
        program.parse(["--only", "rendering"])
    assert "got rendering" in capsys.readouterr().err
    arguments = ["--root_dir", str(tmp_path), "--results", str(tmp_path / "r.json"), "--page", str(tmp_path / "p.md")]
    assert program.main([*arguments, "--only", "training"]) == 0
    page = (tmp_path / "p.md").read_text()
    assert "Missing: needs packed crops (make demo)." in page
    assert all(f"### {benchmark.title}" in page for benchmark in program.BENCHMARKS)


def test_all_sides_of_the_convolution_compute_the_result_and_both_gradients():
    laplacian = convolution.sheet_laplacian(400)
    signal, weights, upstream = convolution.inputs(3, 2, 400)
    ours = [np.asarray(part) for part in convolution.our_step(laplacian, 3, 2)()]
    x, y = (np.ascontiguousarray(part.transpose(1, 0, 2)) for part in (signal, upstream))
    matrix = rescaled_laplacian(laplacian)
    result, to_signal, to_weights = convolution.scipy_step(matrix, x, weights, y)
    for part, expected in zip(ours, (result, to_signal, to_weights), strict=True):
        assert_close(part, np.reshape(expected, part.shape), 1e-3)
    published = convolution.with_gradients(
        lambda x, w: chebyshev_convolution(sparse_tensor(matrix), x, w, convolution.ORDER),
        *map(tf.constant, (signal, weights, upstream)),
    )
    result, to_signal, to_weights = published()
    assert_close(result, ours[0].transpose(1, 0, 2), 1e-3)
    assert_close(to_signal, ours[1].transpose(1, 0, 2), 1e-3)
    assert_close(to_weights, np.reshape(ours[2], to_weights.shape), 1e-3)


SERVER = """
import sys
from benchmarks.turns import MissingPeer, serve
def prepare():
    print("noise")
    if sys.argv[1] == "missing":
        raise MissingPeer("no compiler")
    return lambda count: {"seconds": float(sys.argv[1]) * count}
serve(prepare)
"""


def test_sides_take_turns_in_their_own_processes():
    sides = {name: Side([sys.executable, "-c", SERVER, name]) for name in ("1", "2")}
    missing = Side([sys.executable, "-c", SERVER, "missing"])
    with pytest.raises(MissingPeer, match="no compiler"):
        missing.measure(1)
    assert take_turns(sides, 2, 3) == {"1": {"seconds": [3.0, 3.0]}, "2": {"seconds": [6.0, 6.0]}}
    for side in (*sides.values(), missing):
        side.close()
    broken = Side([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises((RuntimeError, BrokenPipeError)):
        broken.measure(1)
