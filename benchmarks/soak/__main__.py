"""Tries to break what docs/RELIABILITY.md promises, and writes that page: python -m benchmarks.soak, or `make soak`.

The outcome of every attempt is appended to results/soak/journal.jsonl; the next soak continues where this one stopped.
"""

import argparse
import multiprocessing
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.provenance import commit
from benchmarks.soak import damage, endurance, fuzzing, hardship, kills, report
from benchmarks.soak.attempts import LOST, Journal, Scenario, next_attempt
from benchmarks.soak.world import World
from configs import schema

FOLDER = schema.REPOSITORY / "results" / "soak"


def all_scenarios(world: World, seed: int) -> list[Scenario]:
    """Every scenario, in the order of the page."""
    return [
        *kills.scenarios(world),
        *damage.scenarios(world, seed),
        *fuzzing.scenarios(world),
        *hardship.scenarios(world, hardship.own_mounts()),
        *endurance.scenarios(world),
    ]


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
    soak(scenarios, Journal(folder / "journal.jsonl", {"seed": seed, "commit": commit()}, again), minutes)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, help="stop after so many minutes (default: when all attempts are made)"
    )
    parser.add_argument("--only", default="", help="names of scenarios, separated by commas (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the attempts (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other attempts (default: 0)")
    parser.add_argument("--again", action="store_true", help="make lost attempts again, after a fault was mended")
    parser.add_argument(
        "--folder", type=Path, default=schema.REPOSITORY / "results" / "soak", help="inputs and journal"
    )
    parser.add_argument("--page", type=Path, default=report.PAGE, help="the page to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    world = World(arguments.folder)
    scenarios = all_scenarios(world, arguments.seed)
    known = {scenario.name: scenario for scenario in scenarios}
    chosen = [name.strip() for name in arguments.only.split(",") if name.strip()] or list(known)
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"--only must name scenarios ({', '.join(known)}), got {', '.join(unknown)}")
    about = {"seed": arguments.seed, "commit": commit()}
    journal = Journal(world.folder / "journal.jsonl", about, arguments.again)
    shared = (arguments.seed, chosen, arguments.minutes, arguments.again)
    helpers = [
        multiprocessing.get_context("spawn").Process(target=help_soak, args=(world.folder, worker, *shared))
        for worker in range(1, arguments.jobs)
    ]
    try:
        for helper in helpers:
            helper.start()
        soak([known[name] for name in chosen], journal, arguments.minutes)
        for helper in helpers:
            helper.join()
    finally:
        journal.refresh()
        content = report.summary(scenarios, journal)
        report.write(content, scenarios, world.folder.with_suffix(".json"), arguments.page)
    lost = sum(entry["lost"] for entry in content["scenarios"].values())
    print(f"{lost} attempts lost; {world.folder.with_suffix('.json')} and {arguments.page} hold all figures")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
