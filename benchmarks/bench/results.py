"""results/bench.json: entries by name, each with the commit, the day and the machine of its measurement."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.provenance import commit, machine, versions
from lib.files.json_files import write_json


def provenance(packages: Sequence[str], sizes: str) -> dict[str, Any]:
    """Where and with what an entry is measured now."""
    return {
        "sizes": sizes,
        "versions": versions(packages),
        "machine": machine(),
        "commit": commit(),
        "date": date.today().isoformat(),
    }


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Entries measured so far; none if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def merge(path: Path, entries: Mapping[str, Mapping[str, Any]], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Replaces the entries that were measured and keeps the others; returns all.

    An entry without figures of ours does not replace one that has them.
    """
    known = read(path)
    for name, entry in entries.items():
        if entry["ours"] is not None or name not in known or known[name]["ours"] is None:
            known[name] = {**entry, **origin}
    write_json(path, known)
    return known
