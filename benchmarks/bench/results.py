"""results/bench.json: entries by name, each with the commit, the day and the machine of its measurement."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.provenance import commit, machine, versions
from lib.files.json_files import write_json

SIDES = ("ours", "peer")


def origin() -> dict[str, str]:
    """Where and at what code entries are measured now; a run asks once, before it writes anything."""
    return {"machine": machine(), "commit": commit(), "date": date.today().isoformat()}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Entries measured so far; none if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def merge(
    path: Path,
    entries: Mapping[str, Mapping[str, Any]],
    sizes: str,
    packages: Sequence[str],
    origin: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """Replaces the entries that were measured and keeps the others; returns all.

    An entry without figures of ours, or without those of the peer, does not replace one that has them. That one then
    tells under "last_run" what became of the last run.

    Args:
      path: the file.
      entries: the entries by name.
      sizes: sizes of the inputs, see `Benchmark`.
      packages: packages whose versions matter.
      origin: from `origin`.
    """
    known, about = read(path), {"sizes": sizes, "versions": versions(packages), **origin}
    for name, entry in entries.items():
        before = known.get(name)
        if before is not None and any(before.get(side) is not None and entry.get(side) is None for side in SIDES):
            why = entry["missing"] or "not measured"
            known[name] = {**before, "last_run": f"{origin['date']} at {origin['commit']}: {why}"}
        else:
            known[name] = {**entry, **about}
    write_json(path, known)
    return known
