"""The commands that the soak disturbs, in the small configuration."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.soak.runs.child import Child, Ended
from benchmarks.soak.world import CONFIG, World, run, succeed

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


OUT = ("out/**/*",)
# Options of earlier outputs.
FEWER_UPDATES = ("pretrain.regressor_updates=2", "pretrain.identity_updates=2")
FEWER_CROPS = ("data.synthetic_count=6",)
OTHER_CROPS = "evaluate.split=val"


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
      earlier: options that make other outputs of the same names; empty: none.
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
    earlier: Sequence[str] = ()

    def start(self, folder: Path, **options: Any) -> Child:
        """Starts the command, or goes on with it; the options are those of `Child`."""
        arguments = self.arguments(folder)
        return run(folder, self.program, *arguments, settings=self.settings, eager=self.eager, **options)

    def is_done(self, ended: Ended) -> bool:
        """Whether a repeated command has ended well: with success, or saying that nothing is left to do."""
        return not ended.traceback and (ended.code == 0 or (ended.code == 2 and self.finished in ended.errors))

    def complete(self, folder: Path) -> Ended | None:
        """Runs the last command; None if there is none."""
        return run(folder, self.program, *self.last, eager=self.eager).wait() if self.last else None


def after_another(world: World, command: Killable) -> Killable:
    """The command in a folder in which it has left outputs before, with other options."""
    if not command.earlier:
        return command

    def make(folder: Path) -> None:
        # In the folder of the attempts, which some outputs name.
        work = world.copy(command.stage(), command.name)
        arguments = (*command.arguments(work), *command.earlier)
        succeed(run(work, command.program, *arguments, settings=command.settings, eager=command.eager))
        shutil.copytree(work, folder, dirs_exist_ok=True)
        shutil.copy(command.stage() / CONFIG, folder)  # the weights of any copy of this folder are its own
        world.remove(work)

    def stage() -> Path:
        return world.stage(f"{command.name} done {world.attempts.name}", None, make)

    return replace(command, stage=stage)


def commands(world: World) -> dict[str, Killable]:
    """All commands by name."""
    photos = ("--input", "photos", "--output", "out")
    listed = (
        _training(world, "training"),
        _training(world, "critic", "--gan"),
        _training(world, "eager training", eager=True),
        _in_place(_training(world, "in place", eager=True)),
        _eager("pretraining", _pretrain, world.unpretrained, ("*.npz", "data/generated/**/*"), *FEWER_UPDATES),
        Killable("packing", "create_bin", lambda _: (), world.base, ("data/**/*",), earlier=FEWER_CROPS),
        _eager("preparing", lambda _: ("--mode", "prepare", *photos), world.base, OUT, "data.image_size=40"),
        _eager("testing", lambda _: ("--mode", "test", *photos), world.trained, OUT, "fit.steps=1"),
        _eager("evaluating", lambda _: ("--mode", "evaluate", "--output", "out"), world.trained, OUT, OTHER_CROPS),
        _eager("masks", _train_masks, world.base, ("*.npz", ".*", "data/generated/**/*"), "mask.updates=1"),
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


def _eager(
    name: str, arguments: Callable, stage: Callable[[], Path], outputs: Sequence[str], *earlier: str
) -> Killable:
    return Killable(name, "main", arguments, stage, outputs, eager=True, earlier=earlier)


def _people(world: World, name: str, mode: str, *flags: str) -> Killable:
    arguments = ("--mode", mode, *flags, "--output", "out")
    return Killable(name, "main", lambda _: arguments, world.people, OUT, kills=2, eager=True, earlier=("fit.steps=1",))


def _pretrain(folder: Path) -> list[str]:
    return ["--mode", "pretrain", *(f"{name}.weights={folder / name}.npz" for name in ("regressor", "identity"))]


def _train_masks(folder: Path) -> list[str]:
    return ["--mode", "masks", f"mask.weights={folder / 'mask.npz'}"]
