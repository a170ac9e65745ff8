"""The attempts of a soak, made by one process or by several that share a folder."""

import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.provenance import commit
from benchmarks.soak import damage, endurance, fuzzing, hardship, kills
from benchmarks.soak.attempts import LOST, Journal, Scenario, next_attempt
from benchmarks.soak.world import World, code_version


def all_scenarios(world: World, seed: int) -> list[Scenario]:
    """Every scenario, in the order of the page."""
    return [
        *kills.scenarios(world),
        *damage.scenarios(world, seed),
        *fuzzing.scenarios(world),
        *hardship.scenarios(world, hardship.own_mounts()),
        *endurance.scenarios(world),
    ]


def journal_of(folder: Path, seed: int, again: bool) -> Journal:
    """The journal of a soak's folder, for attempts at the present code."""
    return Journal(folder / "journal.jsonl", {"seed": seed, "commit": commit(), "code": code_version()}, again)


def soak(scenarios: list[Scenario], journal: Journal, minutes: float | None) -> None:
    """Makes the attempts that the journal lacks, until all are made or the time is over."""
    ends = None if minutes is None else time.monotonic() + 60 * minutes
    total = sum(scenario.attempts for scenario in scenarios)
    made = sum(len(journal.done(scenario.name)) for scenario in scenarios)
    with tqdm(total=total, initial=made, desc="soak", unit="attempt", dynamic_ncols=True) as bar:
        while (ends is None or time.monotonic() < ends) and (found := next_attempt(scenarios, journal)):
            scenario, index = found
            bar.set_postfix_str(f"{scenario.name} {index}")
            started = time.monotonic()
            outcome = scenario.attempt(journal.about["seed"], index)
            journal.add(scenario.name, index, outcome, time.monotonic() - started)
            bar.update(sum(len(journal.done(scenario.name)) for scenario in scenarios) - bar.n)
            if outcome.state == LOST:
                tqdm.write(f"LOST {scenario.name} {index}: {outcome.reason}")


def help_soak(folder: Path, worker: int, seed: int, chosen: list[str], minutes: float | None, again: bool) -> None:
    """Body of a further process of a soak."""
    scenarios = [scenario for scenario in all_scenarios(World(folder, worker), seed) if scenario.name in chosen]
    soak(scenarios, journal_of(folder, seed, again), minutes)
