"""SIGKILL at random and at chosen moments; repeated until done, a run must leave what the undisturbed run leaves."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.attempts import Outcome, Scenario, lost, survived
from benchmarks.soak.child import Aim, Child, Ended, inside_file
from benchmarks.soak.world import World, code_version, differing, digests, run, succeed

# A run that ends before it is killed is repeated with a fresh folder, at most so often.
MISSES = 6
RESTARTS = 4
# Moments of training that random kills would seldom meet.
CHECKPOINT = "model.training.run_folder:RunFolder.save"
BEST = "model.training.run_folder:RunFolder.keep_best"
VALIDATION = "model.training.run_log:RunLog.validate"
ENCODING = "model.training.loop:encode_records"
FACE_MODEL = "model.pipeline:load_face_model"
LEVELS = "model.pipeline:load_hierarchy"
IN_PLACE = "model.training.fused_adam:FusedAdam.update_thin"
TRAINING_AIMS = (
    (CHECKPOINT, 8),
    (BEST, 2),
    (VALIDATION, 2),
    (ENCODING, 1),
    (CHECKPOINT, 8),
    (LEVELS, 1),
    (FACE_MODEL, 1),
)


@dataclass(frozen=True)
class Killable:
    """A command that is killed and repeated.

    Attributes:
      name: of the scenario, and of the folder in which it runs.
      program: "main" or "create_bin".
      arguments: the command line, given the folder, also for going on after an interruption.
      stage: the folder of inputs to start from.
      outputs: patterns of the files to compare.
      aims: functions to be killed in, each with the number of its calls in a run; the first kill of an attempt is aimed
        at the next of them. Without any, every kill is at a random moment.
      kills: kills of an attempt.
      settings, eager: see `Child`.
      finished: text on stderr by which a repeated command says that nothing is left to do.
      last: the command line that makes the outputs of what the command has left, which is not killed; empty: none.
    """

    name: str
    program: str
    arguments: Callable[[Path], Sequence[str]]
    stage: Callable[[], Path]
    outputs: Sequence[str]
    aims: Sequence[tuple[str, int]] = ()
    kills: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    eager: bool = False
    finished: str = "\0"
    last: Sequence[str] = ()

    def start(self, folder: Path, **options: Any) -> Child:
        """Starts the command, or goes on with it; the options are those of `Child`."""
        arguments = self.arguments(folder)
        return run(folder, self.program, *arguments, settings=self.settings, eager=self.eager, **options)

    def complete(self, folder: Path) -> Ended | None:
        """Runs the last command; None if there is none."""
        return run(folder, self.program, *self.last, eager=self.eager).wait() if self.last else None


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
            if ended.code != 0:
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

        Its "seconds", "digests" of its outputs, the bytes "written" in all files and in the "largest", and the "code".
        """
        if self._reference is None:
            path = self.world.references / f"{self.command.name}.json"
            if not path.is_file() or json.loads(path.read_text()).get("code") != code_version():
                folder = self._fresh()
                before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
                ended = succeed(self.command.start(folder))
                if (last := self.command.complete(folder)) is not None and last.code != 0:
                    raise RuntimeError(f"an undisturbed run must succeed, got exit code {last.code}: {last.last_line}")
                written = [p.stat().st_size for p in folder.rglob("*") if before.get(p) != p.stat().st_mtime_ns]
                reference = {
                    "seconds": ended.seconds,
                    "written": sum(written),
                    "largest": max(written),
                    "digests": digests(folder, self.command.outputs),
                    "code": code_version(),
                }
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(reference))
                self.world.remove(folder)
            self._reference = json.loads(path.read_text())
        return self._reference

    def _finish(self, folder: Path, expected: dict[str, Any], **figures: int) -> Outcome:
        """Repeats the command until it is done, and compares its files with the undisturbed run's."""
        for _ in range(RESTARTS):
            ended = self.command.start(folder).wait()
            if ended.code == 0 or self.command.finished in ended.errors:
                break
        else:
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
        return Aim(function, int(generator.integers(1, calls + 1)), generator.uniform(0.0, 1.0))

    def _fresh(self) -> Path:
        return self.world.copy(self.command.stage(), self.command.name)


def commands(world: World) -> dict[str, Killable]:
    """All commands by name."""
    photos = ("--input", "photos", "--output", "out")
    listed = (
        _training(world, "training"),
        _training(world, "critic", "--gan"),
        _training(world, "eager training", eager=True),
        _in_place(_training(world, "in place", eager=True)),
        _eager("pretraining", _pretrain, world.unpretrained, ("*.npz", "data/generated/**/*")),
        Killable("packing", "create_bin", lambda _: (), world.base, ("data/**/*",)),
        _eager("preparing", lambda _: ("--mode", "prepare", *photos), world.base, ("out/**/*",)),
        _eager("testing", lambda _: ("--mode", "test", *photos), world.trained, ("out/**/*",)),
        _eager("evaluating", lambda _: ("--mode", "evaluate", "--output", "out"), world.trained, ("out/**/*",)),
        _eager("masks", _train_masks, world.base, ("mask.npz",)),
        _part("prepared part", "prepare", world.base),
        _part("tested part", "test", world.trained),
        _people(world, "video", "test", "--video", "clip.mp4", "--export", "rig"),
        _people(world, "frames", "test", "--video", "frames"),
        _people(world, "tracking", "track", "--input", "clip.mp4", "--export", "rig"),
        _people(world, "same person", "test", "--same-person", "--input", "people"),
        _people(world, "landmarks", "test", "--input", "people"),
    )
    return {command.name: command for command in listed}


def _training(world: World, name: str, *flags: str, eager: bool = False) -> Killable:
    def arguments(folder: Path) -> list[str]:
        begun = any((folder / "checkpoints").glob("*/latest.npz"))
        return ["--mode", "train", *flags, *(["--restore"] if begun else [])]

    return Killable(
        name,
        "main",
        arguments,
        world.packed,
        (
            "checkpoints/*/*.npz",
            "checkpoints/*/training.json",
            "checkpoints/*/.*",
            "checkpoints/*/samples/*",
            "data/**/*.npz",
            "data/**/.*",
        ),
        aims=TRAINING_AIMS,
        kills=2,
        settings={"model.runs.checkpoints:SECONDS": 0},  # after every update
        finished="has completed",
        eager=eager,
    )


def _in_place(command: Killable) -> Killable:
    """A training in which matrices of any size are updated in place; the small configuration has no large one."""
    settings = command.settings | {"model.networks.products.dense:LEAST_ENTRIES": 1}
    return replace(command, aims=((IN_PLACE, 8), *command.aims), settings=settings)


def _part(name: str, mode: str, stage: Callable[[], Path]) -> Killable:
    """A part of `--shard`, compared after `--merge`; its own record in .shards holds times in checksummed lines."""
    arguments = ("--mode", mode, "--input", "photos", "--output", "out")
    command = _eager(name, lambda _: (*arguments, "--shard", "0/1"), stage, ("out/[!.]*", "out/[!.]*/**/*"))
    return replace(command, last=(*arguments, "--merge"))


def _eager(name: str, arguments: Callable, stage: Callable[[], Path], outputs: Sequence[str]) -> Killable:
    return Killable(name, "main", arguments, stage, outputs, eager=True)


def _people(world: World, name: str, mode: str, *flags: str) -> Killable:
    arguments = ("--mode", mode, *flags, "--output", "out")
    return Killable(name, "main", lambda _: arguments, world.people, ("out/**/*",), kills=2, eager=True)


def _pretrain(folder: Path) -> list[str]:
    return ["--mode", "pretrain", *(f"{name}.weights={folder / name}.npz" for name in ("regressor", "identity"))]


def _train_masks(folder: Path) -> list[str]:
    return ["--mode", "masks", f"mask.weights={folder / 'mask.npz'}"]


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
        "SIGKILL at {moment}; the command is repeated until it is done; every file must equal that of the undisturbed "
        "run, byte for byte (of archives: every array), durations apart"
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
