"""Attempts at breaking the program, and the journal that lets an interrupted soak continue."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lib.files.locks import lock

SURVIVED, LOST, SKIPPED = "survived", "lost", "skipped"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Result of one attempt.

    Attributes:
      state: SURVIVED, LOST, or SKIPPED if this computer does not allow the attempt.
      how: kind of the ending, which the report counts, e.g. "refused by name".
      reason: why the attempt was lost or skipped; empty if it survived.
      figures: measurements for the report.
    """

    state: str
    how: str = ""
    reason: str = ""
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


def survived(how: str = "", **figures: Any) -> Outcome:
    return Outcome(SURVIVED, how, figures=figures)


def lost(reason: str, how: str = "", **figures: Any) -> Outcome:
    return Outcome(LOST, how, reason, figures)


def skipped(reason: str) -> Outcome:
    return Outcome(SKIPPED, reason=reason)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One promise and the attempts that try to break it.

    Attributes:
      name: short name, for SOAK_ONLY and the journal.
      title: what is done to the program, for the table.
      proof: how an attempt proceeds and when it counts as survived, for the page.
      attempts: number of attempts of a complete soak.
      run: makes attempt `index`, starting from its own random generator.
      alone: one process makes all attempts, because `run` makes several at once.
    """

    name: str
    title: str
    proof: str
    attempts: int
    run: Callable[[int, np.random.Generator], Outcome]
    alone: bool = False

    def generator(self, seed: int, index: int) -> np.random.Generator:
        """Random numbers of an attempt, the same in every soak of this seed."""
        return np.random.default_rng([seed, index, *self.name.encode()])

    def attempt(self, seed: int, index: int) -> Outcome:
        """Makes an attempt; a fault of the soak itself, too, counts as a loss, never as a survival."""
        try:
            return self.run(index, self.generator(seed, index))
        except Exception as error:
            return lost(f"{type(error).__name__}: {error}", "the soak failed")


class Journal:
    """Outcomes of all attempts so far, one JSON line each, appended as they happen.

    Several processes may share a journal: each sees the others' outcomes when it looks for its next attempt.

    Args:
      path: the journal; created if missing.
      about: facts stored with every attempt: commit, seed and version of the code. Attempts of another seed are other
        attempts, and those at another version of the code say nothing about this one; both must be made.
      again: make lost attempts again, after a fault was mended. Skipped ones are always tried again, once.

    Attributes:
      entries: scenario -> attempt -> its last outcome.
      mended: losses after which the same attempt survived, at any version of the code.
    """

    def __init__(self, path: Path, about: dict[str, Any], again: bool = False):
        self.path, self.about = path, about
        self.entries: dict[str, dict[int, dict[str, Any]]] = {}
        self.mended: list[dict[str, Any]] = []
        self._losses: dict[tuple[str, int], dict[str, Any]] = {}  # not mended yet
        self._read = 0  # bytes of the file
        self._claim: TextIO | None = None
        self._open: set[tuple[str, int]] = set()
        self.refresh()
        # What this computer did not allow before, it may allow now.
        states = {SKIPPED, LOST} if again else {SKIPPED}
        entries = [entry for entries in self.entries.values() for entry in entries.values()]
        self._open = {(entry["scenario"], entry["attempt"]) for entry in entries if entry["state"] in states}

    def add(self, scenario: str, index: int, outcome: Outcome, seconds: float) -> None:
        """Appends the outcome of an attempt."""
        entry = {
            "scenario": scenario,
            "attempt": index,
            **dataclasses.asdict(outcome),
            "seconds": round(seconds, 3),
            "date": date.today().isoformat(),
            **self.about,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self.refresh()

    def refresh(self) -> None:
        """Reads what was appended since the last look."""
        if not self.path.is_file():
            return
        with open(self.path, "rb") as stream:
            stream.seek(self._read)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            if entry["seed"] == self.about["seed"]:
                self._note(entry)

    def claim(self, name: str) -> bool:
        """Takes an attempt, or all of a scenario, until the next `add`; False if another process holds it."""
        stream = open(self.path.with_name("locks") / name, "a")  # noqa: SIM115 # the lock lives as long as it is open
        if not lock(stream.fileno(), wait=False):
            stream.close()
            return False
        self._claim = stream
        return True

    def done(self, scenario: str) -> set[int]:
        """Numbers of the attempts that have been made."""
        return {index for index in self.entries.get(scenario, {}) if (scenario, index) not in self._open}

    def outcomes(self, scenario: str) -> list[dict[str, Any]]:
        """Entries of a scenario in the order of the attempts."""
        return [entry for _, entry in sorted(self.entries.get(scenario, {}).items())]

    def _note(self, entry: dict[str, Any]) -> None:
        attempt = entry["scenario"], entry["attempt"]
        if entry["state"] == LOST:
            self._losses[attempt] = entry
        elif entry["state"] == SURVIVED and attempt in self._losses:
            self.mended.append(self._losses.pop(attempt))
        if entry.get("code") == self.about["code"]:
            self.entries.setdefault(attempt[0], {})[attempt[1]] = entry
            self._open.discard(attempt)


def next_attempt(scenarios: Iterable[Scenario], journal: Journal) -> tuple[Scenario, int] | None:
    """Claims the next attempt to make; None if all are made, or being made by other processes.

    Taken from the scenario with the smallest share of its attempts done, so that a soak of limited time tries
    everything. The claim ends with `Journal.add`, and with the process.
    """
    with locked(journal.path.with_name("locks") / "claims"):
        journal.refresh()
        for scenario in sorted(scenarios, key=lambda s: len(journal.done(s.name)) / s.attempts):
            for index in sorted(set(range(scenario.attempts)) - journal.done(scenario.name)):
                if journal.claim(scenario.name if scenario.alone else f"{scenario.name}-{index}"):
                    return scenario, index
    return None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock file, and holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as stream:
        lock(stream.fileno(), wait=True)
        yield
