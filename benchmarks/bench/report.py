"""docs/BENCHMARKS.md from the entries of results/bench.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.bench.comparison import Benchmark, Samples, entry
from configs import schema
from lib.files.atomic import atomic_path
from lib.messages import counted

PAGE = schema.REPOSITORY / "docs" / "BENCHMARKS.md"
TEMPLATE = Path(__file__).with_name("benchmarks_page.md")
HEADER = "| what | ours | baseline | ratio | target | met |\n|---|---:|---:|---:|---:|---|"
Entries = Mapping[str, Mapping[str, Any]]


def write(
    page: Path, benchmarks: Sequence[Benchmark], curves: Sequence[str], curve_sizes: str, entries: Entries
) -> None:
    """Writes the page."""
    with atomic_path(page) as temporary:
        temporary.write_text(page_text(benchmarks, curves, curve_sizes, entries), encoding="utf-8")


def page_text(benchmarks: Sequence[Benchmark], curves: Sequence[str], curve_sizes: str, entries: Entries) -> str:
    """The template's prose around the tables."""
    several = len({known["machine"] for known in entries.values()}) > 1
    sections = [_section(benchmark, entries, several) for benchmark in benchmarks]
    grown = {name: entries[name] for name in curves if name in entries}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        sections="\n\n".join(sections),
        growth="\n".join(_curve(name, known) for name, known in grown.items()) or "Not measured yet.",
        growth_sizes=curve_sizes,
        growth_measured=_measured(grown, several),
        origins=_origins(entries),
    )


def _section(benchmark: Benchmark, entries: Entries, several: bool) -> str:
    found = {row.name: entries[row.name] for row in benchmark.rows if row.name in entries}
    lines = [_line(row.name, found.get(row.name) or entry(row, Samples())) for row in benchmark.rows]
    notes = sorted({_missing(known) for known in found.values() if known["missing"]})
    text = f"### {benchmark.title}\n\n{HEADER}\n" + "\n".join(lines)
    text += f"\n\n{benchmark.sizes[0].upper()}{benchmark.sizes[1:].rstrip('.')}. `make bench BENCH_ONLY="
    text += f'"{benchmark.name}"` measures these rows{_measured(found, several)}.'
    text += "".join(f"\n{note}." for note in notes)
    for later in sorted({known["last_run"] for known in found.values() if "last_run" in known}):
        rows = [f"`{_what(name)}`" for name, known in found.items() if known.get("last_run") == later]
        text += f"\nLast run of {', '.join(rows)}: {later.rstrip('.')}; the figures are those of the run before."
    return text


def _measured(found: Entries, several: bool) -> str:
    """When they were, at which code and with what; and on which machine, if the page has figures of `several`."""
    when = set()
    for known in found.values():
        rounds = counted(known["turns"], "round") if "turns" in known else ""
        machine = f"on {known['machine']}" if several else ""
        facts = (f"{known['date']} at {known['commit']}", rounds, known.get("inputs"), machine)
        when.add(", ".join(filter(None, facts)))
    return f" (last: {'; '.join(sorted(when))})" if when else ""


def _what(name: str) -> str:
    """What a row measures, without its benchmark's name."""
    return name.partition(": ")[2] or name


def _missing(measured: Mapping[str, Any]) -> str:
    """What a row lacks, and why."""
    return f"{'Missing' if measured['ours'] is None else 'No baseline'}: {measured['missing']}"


def _line(name: str, measured: Mapping[str, Any]) -> str:
    """A row of the table."""
    spread, unit = measured["spread"], measured["unit"]
    ours = f"{_figure(measured['ours'], spread['ours'])} {unit}" if measured["ours"] is not None else "not measured"
    peer = measured["peer_name"]
    if measured["peer"] is not None:
        peer += f": {_figure(measured['peer'], spread['peer'])}"
    elif measured["ours"] is not None:
        peer = ""  # a name without a figure looks like a comparison
    ratio = _figure(measured["ratio"], spread["ratio"], "{:.2f}") if measured["ratio"] is not None else ""
    met = {True: "yes", False: "no", None: ""}[measured["met"]]
    return f"| {_what(name)} | {ours} | {peer} | {ratio} | {_target(measured)} | {met} |"


def _target(measured: Mapping[str, Any]) -> str:
    targets = [f"ratio {measured['bar']['ratio']:g}"] if measured["bar"]["ratio"] is not None else []
    if (limit := measured["bar"]["limit"]) is not None:
        targets.append(f"{limit:g} {measured['unit']} at {'least' if measured['more_is_better'] else 'most'}")
    return ", ".join(targets)


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
