"""Rows of the table: what is compared, the target, and the entry that measurements make."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """Inputs of the benchmarks that run whole programs.

    Attributes:
      turns: rounds of measuring.
      root_dir: folder with data/ and checkpoints/; test mode uses the shipped network if there is no trained one.
      photos: folder of photos for test mode; None for scikit-image's portrait.
      count: photos of a run.
    """

    turns: int
    root_dir: Path
    photos: Path | None
    count: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
      name: key in bench.json; what follows a colon names the row on the page.
      unit: unit of the figures.
      peer: the baseline; empty if there is none.
      ratio: target of the ratio, how many times better than the peer; None for no such target.
      limit: target of our own figure: at most this (at least, if more is better); None for no such target.
      more_is_better: True for rates; otherwise less is better.
      figure: name of the figure among those that the sides measure; empty if `measure` tells by itself.
    """

    name: str
    unit: str
    peer: str = ""
    ratio: float | None = None
    limit: float | None = None
    more_is_better: bool = False
    figure: str = ""


@dataclasses.dataclass(frozen=True)
class Samples:
    """Measurements of a row.

    Attributes:
      ours: one figure for each round.
      peer: the peer's figures in the same rounds; empty if it was not measured.
      missing: why the peer, or the whole row, was not measured.
      inputs: what was measured, where the user chooses it.
    """

    ours: Sequence[float] = ()
    peer: Sequence[float] = ()
    missing: str = ""
    inputs: str = ""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Rows that are measured together.

    Attributes:
      name: short name, for --only.
      title: heading of the rows on the page.
      sizes: sizes of the inputs as far as they are always the same, and how they are measured.
      rows: in the order of the page.
      packages: packages whose versions matter.
      measure: returns the samples of each row, by its name.
    """

    name: str
    title: str
    sizes: str
    rows: tuple[Row, ...]
    packages: tuple[str, ...]
    measure: Callable[[Settings], Mapping[str, Samples]]


def entry(row: Row, samples: Samples) -> dict[str, Any]:
    """A row's entry in bench.json, without its provenance."""
    ratios = _ratios(row, samples)
    ratio = statistics.median(ratios) if ratios else None
    ours = statistics.median(samples.ours) if samples.ours else None
    return {
        "ours": _rounded(ours),
        "peer": _rounded(statistics.median(samples.peer)) if samples.peer else None,
        "ratio": _rounded(ratio),
        "bar": {"ratio": row.ratio, "limit": row.limit},
        "met": _met(row, ours, ratio),
        "spread": {"ours": _spread(samples.ours), "peer": _spread(samples.peer), "ratio": _spread(ratios)},
        "turns": len(samples.ours),
        "unit": row.unit,
        "peer_name": row.peer,
        "more_is_better": row.more_is_better,
        "missing": samples.missing,
        **({"inputs": samples.inputs} if samples.inputs else {}),
    }


def _ratios(row: Row, samples: Samples) -> list[float]:
    """How many times better than the peer, round by round."""
    if not samples.peer:
        return []
    pairs = zip(samples.ours, samples.peer, strict=True)
    return [ours / peer if row.more_is_better else peer / ours for ours, peer in pairs]


def _met(row: Row, ours: float | None, ratio: float | None) -> bool | None:
    """True if every target is met, False if one is not, None if a target's figure is missing or there is no target."""
    passed: list[bool | None] = []
    if row.ratio is not None:
        passed.append(None if ratio is None else ratio >= row.ratio)
    if row.limit is not None:
        within = None if ours is None else (ours >= row.limit if row.more_is_better else ours <= row.limit)
        passed.append(within)
    if False in passed:
        return False
    return True if passed and None not in passed else None


def _spread(values: Sequence[float]) -> list[float | None] | None:
    return [_rounded(min(values)), _rounded(max(values))] if values else None


def _rounded(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")
