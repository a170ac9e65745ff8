"""docs/BENCHMARKS.md from the entries of results/bench.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.bench.comparison import Benchmark, Samples, entry
from configs import schema
from lib.files.atomic import atomic_path

PAGE = schema.REPOSITORY / "docs" / "BENCHMARKS.md"
TEMPLATE = Path(__file__).with_name("benchmarks_page.md")
HEADER = "| what | ours | peer | times better | bar | met |\n|---|---:|---:|---:|---:|---|"
Entries = Mapping[str, Mapping[str, Any]]


def write(
    page: Path, benchmarks: Sequence[Benchmark], curves: Sequence[str], curve_sizes: str, entries: Entries
) -> None:
    """Writes the page."""
    with atomic_path(page) as temporary:
        temporary.write_text(page_text(benchmarks, curves, curve_sizes, entries), encoding="utf-8")


def page_text(benchmarks: Sequence[Benchmark], curves: Sequence[str], curve_sizes: str, entries: Entries) -> str:
    """The template's prose around the tables."""
    sections = [_section(benchmark, entries) for benchmark in benchmarks]
    growth = "\n".join(_curve(name, entries[name]) for name in curves if name in entries) or "Not measured yet."
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        sections="\n\n".join(sections), growth=growth, growth_sizes=curve_sizes, origins=_origins(entries)
    )


def _section(benchmark: Benchmark, entries: Entries) -> str:
    found = {row.name: entries[row.name] for row in benchmark.rows if row.name in entries}
    lines = [_line(row.name, found.get(row.name) or entry(row, Samples())) for row in benchmark.rows]
    notes = sorted({known["missing"] for known in found.values() if known["missing"]})
    text = f"### {benchmark.title}\n\n{HEADER}\n" + "\n".join(lines)
    text += f"\n\n{benchmark.sizes[0].upper()}{benchmark.sizes[1:].rstrip('.')}. `make bench BENCH_ONLY="
    text += f'"{benchmark.name}"` measures these rows{_measured(found)}.'
    return text + "".join(f"\nMissing: {note}." for note in notes)


def _measured(found: Entries) -> str:
    """When they were, as text."""
    when = sorted({f"{known['date']} at {known['commit']}, {known['turns']} turns" for known in found.values()})
    return f" (last: {'; '.join(when)})" if when else ""


def _line(name: str, measured: Mapping[str, Any]) -> str:
    """A row of the table."""
    what = name.partition(": ")[2] or name
    spread, unit = measured["spread"], measured["unit"]
    ours = f"{_figure(measured['ours'], spread['ours'])} {unit}" if measured["ours"] is not None else "not measured"
    peer = measured["peer_name"]
    if measured["peer"] is not None:
        peer += f": {_figure(measured['peer'], spread['peer'])}"
    ratio = _figure(measured["ratio"], spread["ratio"], "{:.2f}") if measured["ratio"] is not None else ""
    met = {True: "yes", False: "no", None: ""}[measured["met"]]
    return f"| {what} | {ours} | {peer} | {ratio} | {_bar(measured)} | {met} |"


def _bar(measured: Mapping[str, Any]) -> str:
    bars = [f"{measured['bar']['ratio']:g} times"] if measured["bar"]["ratio"] is not None else []
    if (limit := measured["bar"]["limit"]) is not None:
        bars.append(f"{limit:g} {measured['unit']} at {'least' if measured['more_is_better'] else 'most'}")
    return ", ".join(bars)


def _figure(median: float, spread: Sequence[float], form: str = "{:.4g}") -> str:
    low, high = (form.format(value) for value in spread)
    return form.format(median) if low == high else f"{form.format(median)} ({low} to {high})"


def _curve(name: str, measured: Mapping[str, Any]) -> str:
    """A curve as a row of sizes and one of times, each time with the exponent of the growth up to it."""
    head = f"| {name} | " + " | ".join(f"{size:,} {measured['x_unit']}" for size in measured["x"]) + " |"
    times = [f"{measured['ours'][0]:.4g} {measured['unit']}"]
    pairs = zip(measured["ours"][1:], measured["exponents"], strict=True)
    times += [f"{time:.4g} {measured['unit']}, {exponent:.2f}" for time, exponent in pairs]
    rule = "|---|" + "---:|" * len(times)
    return f"{head}\n{rule}\n| time, exponent | {' | '.join(times)} |\n"


def _origins(entries: Entries) -> str:
    """Machines and versions of all entries."""
    lines = {
        f"- {known['machine']}: " + ", ".join(f"{name} {number}" for name, number in known["versions"].items())
        for known in entries.values()
    }
    return "\n".join(sorted(lines)) or "Nothing was measured yet."
