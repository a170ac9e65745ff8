"""SIGKILL at random and at chosen moments; repeated until done, a run must leave what the undisturbed run leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.attempts import LOST, Outcome, Scenario, lost, survived
from benchmarks.soak.runs.aims import UNKNOWN, Aim
from benchmarks.soak.runs.child import durations, inside_file
from benchmarks.soak.runs.commands import IN_PLACE, Killable, commands
from benchmarks.soak.world import World, code_version, differing, digests, succeed

# A run that ends before it is killed is repeated with a fresh folder, at most so often.
MISSES = 6


class KillScenario:
    """Attempts at a command.

    Args:
      world: folders of inputs and attempts.
      command: the command.
    """

    def __init__(self, world: World, command: Killable):
        self.world, self.command = world, command
        self._reference: dict[str, Any] | None = None
        self._seconds = 0.0  # of the last run that was not killed

    def __call__(self, index: int, generator: np.random.Generator) -> Outcome:
        """Makes an attempt; see `Scenario.run`."""
        outcome = self._attempt(index, generator)
        if outcome.state == LOST:
            self.world.keep(self.world.attempts / self.command.name, f"{self.command.name}-{index}")
        return outcome

    def _attempt(self, index: int, generator: np.random.Generator) -> Outcome:
        expected = self.reference()
        kills = inside = misses = 0
        folder = self._fresh()
        while kills < self.command.kills:
            aim = self._aim(index, generator) if kills == 0 else None
            child = self.command.start(folder, aim=aim)
            if aim is None:
                child.kill_after(generator.uniform(0.02, 1.0) * (self._seconds or expected["seconds"]) * 0.8**misses)
            ended = child.wait()
            if ended.code == -9:
                kills += 1
                inside += inside_file(folder).exists()
                inside_file(folder).unlink(missing_ok=True)
                continue
            if ended.code != 0 and not (kills and self.command.is_done(ended)):
                return lost(f"before its kill, exit code {ended.code}: {ended.last_line}", "failed")
            misses += 1
            if not kills:
                self._seconds = ended.seconds  # the computer may be less busy than during the undisturbed run
            if misses > MISSES:
                return lost(f"the run ended {misses} times before it could be killed", "the soak failed")
            if kills:  # the run was killed before, and is complete now
                break
            folder = self._fresh()
        return self._finish(folder, expected, kills=kills, inside=inside)

    def reference(self) -> dict[str, Any]:
        """Facts about the undisturbed run, which is made once for each state of the program's code, and kept.

        Its "seconds", the "durations" of the calls that are aimed at, "digests" of its outputs, the bytes "written" in
        all files and in the "largest", and the "code".
        """
        if self._reference is None:
            path = self.world.references / f"{self.command.name} from {self.command.stage().name}.json"
            if not path.is_file() or json.loads(path.read_text()).get("code") != code_version():
                folder = self._fresh()
                before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
                ended = succeed(self.command.start(folder, timed={function for function, _ in self.command.aims}))
                if (last := self.command.complete(folder)) is not None and last.code != 0:
                    raise RuntimeError(f"an undisturbed run must succeed, got exit code {last.code}: {last.last_line}")
                written = [p.stat().st_size for p in folder.rglob("*") if before.get(p) != p.stat().st_mtime_ns]
                reference = {
                    "seconds": ended.seconds,
                    "written": sum(written),
                    "largest": max(written),
                    "durations": durations(folder),
                    "digests": digests(folder, self.command.outputs),
                    "code": code_version(),
                }
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(reference))
                self.world.remove(folder)
            self._reference = json.loads(path.read_text())
        return self._reference

    def _finish(self, folder: Path, expected: dict[str, Any], **figures: int) -> Outcome:
        """Repeats the command, which must do, and compares its files with the undisturbed run's."""
        ended = self.command.start(folder).wait()
        if not self.command.is_done(ended):
            return lost(f"repeated, exit code {ended.code}: {ended.last_line}", "cannot go on", **figures)
        last = self.command.complete(folder)
        if last is not None and last.code != 0:
            return lost(f"the last command, exit code {last.code}: {last.last_line}", "cannot go on", **figures)
        different = differing(digests(folder, self.command.outputs), expected["digests"])
        if different:
            return lost(f"differ from the undisturbed run: {', '.join(different[:5])}", "other output", **figures)
        self.world.remove(folder)
        return survived("same output", **figures)

    def _aim(self, index: int, generator: np.random.Generator) -> Aim | None:
        if not self.command.aims:
            return None
        function, calls = self.command.aims[index % len(self.command.aims)]
        call, share = int(generator.integers(1, calls + 1)), generator.uniform(0.0, 1.0)
        (first, *_) = [*self.reference()["durations"].get(function, ()), UNKNOWN]
        return Aim(function, call, share, first)

    def _fresh(self) -> Path:
        return self.world.copy(self.command.stage(), self.command.name)


KILLED = {
    "training": (8, "training, killed twice"),
    "critic": (5, "training with a critic, killed twice"),
    "eager training": (16, "training without compiled functions, killed twice"),
    "in place": (8, "training with weights updated in place, killed twice"),
    "pretraining": (30, "pre-training, killed while it renders or trains"),
    "masks": (12, "training of the mask decoder, killed while it renders or trains"),
    "packing": (30, "rendering and packing crops"),
    "preparing": (30, "preparing photos"),
    "prepared part": (12, "preparing a part of `--shard`"),
    "testing": (30, "reconstructing photos"),
    "tested part": (12, "reconstructing a part of `--shard`"),
    "evaluating": (12, "measuring held-out crops"),
    "video": (8, "a video, killed twice"),
    "tracking": (8, "tracking, killed twice"),
    "same person": (8, "several photos of one person, killed twice"),
}


def scenarios(world: World) -> list[Scenario]:
    """The scenarios of SIGKILL."""
    known = commands(world)
    proof = (
        "SIGKILL at {moment}; the command, repeated, must end with success; every file must equal that of the "
        "undisturbed run, byte for byte (of archives: every array), durations apart"
    )
    made = []
    for name, (attempts, title) in KILLED.items():
        moment = "a random moment"
        if known[name].aims:
            moment += ", and before that inside a checkpoint's write, a cache's making or a validation"
            if known[name].aims[0][0] == IN_PLACE:
                moment += ", or an update in place"
        made.append(Scenario(name, title, proof.format(moment=moment), attempts, KillScenario(world, known[name])))
    return made
