"""results/soak.json and docs/RELIABILITY.md, from the journal of a soak."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

from benchmarks.provenance import machine, versions
from benchmarks.soak.attempts import LOST, SKIPPED, SURVIVED, Journal, Scenario
from configs import schema
from lib.files.atomic import atomic_path
from lib.files.json_files import write_json

PAGE = schema.REPOSITORY / "docs" / "RELIABILITY.md"
TEMPLATE = Path(__file__).with_name("reliability_page.md")
REASON = 200  # letters of a loss's reason on the page
_ERROR = re.compile(r"^ *(\w*Error: .*)$", re.MULTILINE)  # what a traceback ends with
VERSIONS = ("tensorflow", "numpy", "keras", "hypothesis")


def summary(
    scenarios: Sequence[Scenario], journal: Journal, earlier: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Content of soak.json: the attempts at the present code, and `earlier` ones of scenarios that have none yet."""
    known = earlier.get("scenarios", {})
    mended = [
        f"{e['scenario']}, attempt {e['attempt']}, at {e['commit']}: {_brief(e['reason'], journal)}"
        for e in journal.mended
    ]
    content: dict[str, Any] = {
        "seed": journal.about["seed"],
        "mended": list(dict.fromkeys([*earlier.get("mended", ()), *mended])),
        "scenarios": {},
    }
    for scenario in scenarios:
        entries = journal.outcomes(scenario.name)
        states = Counter(entry["state"] for entry in entries)
        made = [entry for entry in entries if entry["state"] != SKIPPED]
        if not made and scenario.name in known:
            content["scenarios"][scenario.name] = known[scenario.name]
            continue
        content["scenarios"][scenario.name] = {
            "planned": scenario.attempts,
            "attempts": len(made),
            "survived": states[SURVIVED],
            "lost": states[LOST],
            "skipped": sorted({entry["reason"] for entry in entries if entry["state"] == SKIPPED}),
            "endings": dict(Counter(entry["how"] for entry in made).most_common()),
            "figures": _figures(made),
            "losses": [
                f"attempt {entry['attempt']}: {_brief(entry['reason'], journal)}"
                for entry in made
                if entry["state"] == LOST
            ],
            "date": max((entry["date"] for entry in made), default=None),
            "commits": sorted({entry["commit"] for entry in made}),
            "machine": machine(),
            "versions": versions(VERSIONS),
        }
    return content


def read(results: Path) -> dict[str, Any]:
    """What an earlier soak has written; empty if there is none."""
    return json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}


def _brief(reason: str, journal: Journal) -> str:
    """A reason as one line, without traceback and the soak's folder; the journal has all of it."""
    if errors := _ERROR.findall(reason):
        reason = f"{reason.splitlines()[0].rstrip(' ^')} {errors[-1]}"
    line = "".join(letter if letter.isprintable() else " " for letter in reason).replace(f"{journal.path.parent}/", "")
    line = " ".join(line.split())
    return line if len(line) <= REASON else f"{line[:REASON]} ..."


def _figures(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums of counts over the attempts; other figures of the last attempt that has them; kinds with their number."""
    figures: dict[str, Any] = {}
    for entry in entries:
        for name, value in entry["figures"].items():
            if isinstance(value, str):
                figures.setdefault(name, Counter())[value] += 1
            elif isinstance(value, int) and name in ("kills", "inside"):
                figures[name] = figures.get(name, 0) + value
            else:
                figures[name] = value
    return figures


def write(content: dict[str, Any], scenarios: Sequence[Scenario], results: Path, page: Path) -> None:
    """Writes both files."""
    write_json(results, content)
    with atomic_path(page) as temporary:
        temporary.write_text(page_text(content, scenarios), encoding="utf-8")


def page_text(content: dict[str, Any], scenarios: Sequence[Scenario]) -> str:
    """docs/RELIABILITY.md: the template's prose around tables of a soak's figures."""
    numbers = content["scenarios"]
    rows, proofs = [], []
    for scenario in scenarios:
        entry = numbers[scenario.name]
        planned = "" if entry["attempts"] >= entry["planned"] else f" of {entry['planned']} planned"
        rows.append(
            f"| {scenario.title} | {entry['attempts']}{planned} | {entry['survived']} | {entry['lost']} | "
            f"{_notes(entry)} | {_when(entry)} |"
        )
        proofs.append(f"- **{scenario.title[0].upper()}{scenario.title[1:]}** (`{scenario.name}`): {scenario.proof}.")
    losses = [f"- {name}, {loss}" for name, entry in numbers.items() for loss in entry["losses"]]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        table="\n".join(rows),
        proofs="\n".join(proofs),
        losses="\n".join(losses) if losses else "None.",
        mended="\n".join(f"- {loss}" for loss in content["mended"]) if content["mended"] else "None.",
        origins="\n".join(_origins(numbers.values())),
        seed=content["seed"],
    )


def _when(entry: Mapping[str, Any]) -> str:
    """Last day and commits of a scenario's attempts."""
    return f"{entry['date']} at {', '.join(entry['commits'])}" if entry["date"] else "not yet"


def _origins(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Machines and versions of all attempts."""
    lines = {
        f"- {entry['machine']}: {', '.join(f'{name} {number}' for name, number in entry['versions'].items())}"
        for entry in entries
        if entry["date"]
    }
    return sorted(lines) or ["Nothing was tried yet."]


def _notes(entry: dict[str, Any]) -> str:
    """Cell of the table: how the attempts ended, and measurements."""
    notes = [f"{count} {how}" for how, count in entry["endings"].items() if how and count < entry["attempts"]]
    notes += [how for how, count in entry["endings"].items() if how and count == entry["attempts"]]
    figures = entry["figures"]
    if "kills" in figures:
        inside = f", {figures['inside']} of them inside an aimed function" if figures["inside"] else ""
        notes.append(f"{figures['kills']} kills{inside}")
    if "resident_mb" in figures:
        memory, seconds, files = (figures[name] for name in ("resident_mb", "seconds_per_call", "descriptors"))
        notes.append(
            f"{memory[0]:.0f} MB, then {memory[1]:.0f}; {files[0]} descriptors, then {files[1]}; "
            f"{seconds[0]:.3g} s of processor time a call, then {seconds[1]:.3g}"
            + (f", {figures['slowdown']} times as slow as before" if "slowdown" in figures else "")
            + (f"; {figures['kb_per_call']:+g} kB in use a call" if "kb_per_call" in figures else "")
        )
    notes += [f"skipped: {reason}" for reason in entry["skipped"]]
    return "; ".join(notes)
