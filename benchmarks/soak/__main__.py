"""Tries to break what docs/RELIABILITY.md promises, and writes that page: python -m benchmarks.soak, or `make soak`.

The outcome of every attempt is appended to results/soak/journal.jsonl; the next soak continues where this one stopped.
When the program's code has changed, all attempts are made anew.
"""

import argparse
import multiprocessing
from pathlib import Path

from benchmarks.soak import report
from benchmarks.soak.work import all_scenarios, help_soak, journal_of, soak
from benchmarks.soak.world import World
from configs import schema

FOLDER = schema.REPOSITORY / "results" / "soak"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, help="stop after so many minutes (default: when all attempts are made)"
    )
    parser.add_argument("--only", default="", help="names of scenarios, separated by commas (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the attempts (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other attempts (default: 0)")
    parser.add_argument("--again", action="store_true", help="make lost attempts again, after a fault was mended")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="inputs and journal (default: %(default)s)")
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
    world.forget_other_inputs()
    journal = journal_of(world.folder, arguments.seed, arguments.again)
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
        results = world.folder.with_suffix(".json")
        content = report.summary(scenarios, journal, report.read(results))
        report.write(content, scenarios, results, arguments.page)
    if failed := [helper.name for helper in helpers if helper.exitcode]:
        raise SystemExit(f"error: these processes of the soak failed: {', '.join(failed)}; their attempts are missing")
    lost = sum(entry["lost"] for entry in content["scenarios"].values())
    print(f"{lost} attempts lost; {results} and {arguments.page} hold all figures")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
