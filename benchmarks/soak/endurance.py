"""Long runs: memory, speed and open descriptors must stay flat."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageOps

from benchmarks.soak.attempts import Outcome, Scenario, lost, survived
from benchmarks.soak.runs.child import Watch
from benchmarks.soak.world import World, run
from tests.support.photo_corpus import portrait

UPDATES, PHOTOS = 3000, 1000
HOURS = 6 * 3600.0
# Growth that the last third may have over the second one; the first holds start and compilation.
DESCRIPTORS, SLOWDOWN = 2, 1.5
# Bytes in use may grow by so many a call; resident ones, with what the C library keeps for later, by so many in all.
LEAK, MEMORY_SHARE, MEMORY_BYTES = 5e3, 0.02, 40e6


def measured(notes: Path) -> np.ndarray:
    """Rows of [calls, seconds, resident bytes, spare bytes, descriptors, yardstick] that a Watch has written."""
    return np.array([line.split() for line in notes.read_text().splitlines()], np.float64).reshape(-1, 6)


def flat(rows: np.ndarray) -> tuple[dict[str, Any], str]:
    """Figures of a long run, and what is not flat in it; empty if everything is.

    Compares the medians of the last and of the second third of the notes; the processor time for a call as a multiple
    of the yardstick's. Memory in use is also judged by its slope over both.
    """
    third = len(rows) // 3
    if third < 2:
        return {}, f"at least 6 notes are needed, got {len(rows)}"
    calls, spent, resident, spare, descriptors, yardstick = rows.T
    steps = np.diff(spent) / np.diff(calls)
    relative = steps / ((yardstick[1:] + yardstick[:-1]) / 2)

    def medians(values: np.ndarray) -> list[float]:
        return [statistics.median(values[part]) for part in (slice(third, 2 * third), slice(2 * third, None))]

    memory, files, slowness = medians(resident), medians(descriptors), medians(relative)
    leak = _slope(calls[third:], (resident - spare)[third:])
    figures = {
        "calls": int(calls[-1]),
        "seconds_per_call": [round(value, 4) for value in medians(steps)],
        "slowdown": round(slowness[1] / slowness[0], 2),
        "resident_mb": [round(value / 1e6, 1) for value in memory],
        "kb_per_call": round(leak / 1e3, 2),
        "descriptors": [int(value) for value in files],
    }
    faults = []
    if leak > LEAK:
        faults.append(f"memory in use grows by {leak / 1e3:.1f} kB a call")
    if memory[1] > memory[0] * (1 + MEMORY_SHARE) + MEMORY_BYTES:
        faults.append("resident memory grows")
    if files[1] > files[0] + DESCRIPTORS:
        faults.append("open descriptors grow")
    if slowness[1] > slowness[0] * SLOWDOWN:
        faults.append("it slows down")
    return figures, ", ".join(faults)


def _slope(calls: np.ndarray, memory: np.ndarray) -> float:
    """Growth for a call: the median over pairs of notes, which single notes cannot move.

    The pairs are at most a third of the notes apart, so that a single step, as of a pool of the C library, does not
    count either: most pairs lie on one side of it.
    """
    first, second = np.triu_indices(len(calls), 1)
    near = second - first <= len(calls) // 3
    return float(np.median(((memory[second] - memory[first]) / (calls[second] - calls[first]))[near]))


class Endurance:
    """Long runs in the folders of a world."""

    def __init__(self, world: World):
        self.world = world

    def training(self, _: int, __: np.random.Generator) -> Outcome:
        """UPDATES updates of training, with validations and checkpoints."""
        folder = self.world.copy(self.world.packed(), "long-training")
        options = ("train.epochs=6", f"train.updates_per_epoch={UPDATES // 6}", "train.batch_size=1", "loss.identity=5")
        return self._watch(
            folder, ("--mode", "train", *options), "model.training.run_log:RunLog.training", 100, UPDATES
        )

    def photos(self, _: int, __: np.random.Generator) -> Outcome:
        """PHOTOS photos in test mode, with all exports."""
        folder = self.world.copy(self.world.trained(), "long-test")
        many = folder / "many"
        many.mkdir()
        for number in range(PHOTOS):
            side = 300 - 6 * (number % 7)
            ImageOps.contain(portrait(), (side, side)).save(many / f"{number:04d}.jpg", quality=90)
        return self._watch(
            folder,
            ("--mode", "test", "--input", "many", "--output", "out", "--workers", "1"),
            "model.reconstruction.result_folder:ResultFolder.add",
            25,
            PHOTOS,
        )

    def _watch(self, folder: Path, arguments: tuple[str, ...], function: str, every: int, calls: int) -> Outcome:
        notes = folder.parent / f"{folder.name}.notes"
        ended = run(folder, "main", *arguments, watch=Watch(function, every, notes)).wait(HOURS)
        if ended.code != 0:
            return lost(f"exit code {ended.code}: {ended.last_line}", "failed")
        figures, faults = flat(measured(notes))
        if faults or figures["calls"] != calls:
            return lost(faults or f"{figures['calls']} of {calls} calls", "not flat", **figures)
        self.world.remove(folder)
        return survived("flat", **figures)


def scenarios(world: World) -> list[Scenario]:
    """The scenarios of long runs."""
    endurance = Endurance(world)
    proof = (
        f"over the last two thirds, memory in use grows by at most {LEAK / 1e3:.0f} kB a call, single steps apart; "
        f"medians of the last third against the second one: resident memory at most {MEMORY_SHARE:.0%} and "
        f"{MEMORY_BYTES / 1e6:.0f} MB more (the C library keeps freed blocks by turns), at "
        f"most {DESCRIPTORS} more open descriptors, at most "
        f"{SLOWDOWN} times the processor time for a call, as a multiple of a fixed computation's at the same moment"
    )
    return [
        Scenario("long training", f"{UPDATES:,} updates in one process", proof, 1, endurance.training),
        Scenario("many photos", f"{PHOTOS:,} photos in one process", proof, 1, endurance.photos),
    ]
