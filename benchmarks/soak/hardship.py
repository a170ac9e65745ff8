"""A full disk, folders that may not be written to, and files that vanish, in every mode."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.attempts import LOST, Outcome, Scenario, lost, skipped, survived
from benchmarks.soak.judging.endings import DENIED, FULL, concerns, fault, listed, spoilt
from benchmarks.soak.judging.naming import names, without_bars
from benchmarks.soak.kills import MISSES, KillScenario
from benchmarks.soak.runs.child import Ended, Limits
from benchmarks.soak.runs.commands import Killable, after_another, commands
from benchmarks.soak.world import World, differing, digests

MODES = ("packing", "eager training", "pretraining", "preparing", "testing", "evaluating", "masks")
# Further ones, in scenarios of their own, so that the attempts of the others keep their numbers.
MERGED = "same person"
PEOPLE = ("video", "frames", "tracking", MERGED, "landmarks")
TOGETHER = ("frames", MERGED)  # all photos of a person, or frames, share what is found in them
REMOVING = ("preparing", "video", "frames", "tracking", MERGED)  # their results belong together
NETWORKS = ("checkpoints/**/*.npz", "data/params/**/*", "data/generated/**/*.npz")
# What each mode reads in the course of a run, its own intermediate files included.
READ = {
    "packing": ("data/generated/**/*", "soak.yaml", "data/test/**/*"),
    "eager training": ("*.npz", "data/*.*", "data/params/**/*", "data/generated/**/*.npz", "checkpoints/**/*.npz"),
    "pretraining": ("data/generated/**/*", "soak.yaml"),
    "preparing": ("photos/**/*.*", "out/**/*", "*.npz"),
    "testing": ("photos/**/*.*", "*.npz", *NETWORKS),
    "evaluating": ("*.npz", "data/*.*", "checkpoints/**/*.npz", "data/params/**/*", "data/generated/**/*"),
    "masks": ("data/generated/**/*", "soak.yaml"),
    "video": ("clip.mp4", *NETWORKS),
    "frames": ("frames/*", *NETWORKS),
    "tracking": ("clip.mp4", *NETWORKS),
    MERGED: ("people/**/*.*", *NETWORKS),
    "landmarks": ("people/**/*.txt", "people/**/*.*", *NETWORKS),
}


def own_mounts() -> bool:
    """Makes the mounts of this process and its children invisible to others; False where that is not allowed."""
    try:
        os.unshare(os.CLONE_NEWNS)  # type: ignore[attr-defined] # from Python 3.12 on
    except AttributeError:
        import ctypes

        if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
            return False
    except OSError:
        return False
    made = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)
    return made.returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A memory disk of `size` bytes in place of a folder; yields a function that makes it large."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=2g", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Hardship:
    """Attempts of one kind at several modes, in turn, in folders that hold an earlier output of the mode.

    Args:
      world: folders of inputs and attempts.
      with_mounts: whether memory disks may be mounted.
      modes: names of commands; an odd number, because every other attempt is of another kind.
    """

    def __init__(self, world: World, with_mounts: bool, modes: Sequence[str]):
        self.world, self.with_mounts = world, with_mounts
        known = commands(world)
        self.references = [KillScenario(world, after_another(world, known[name])) for name in modes]

    def full_disk(self, index: int, generator: np.random.Generator) -> Outcome:
        """Every other attempt on a memory disk, the others under a limit for the size of a file."""
        reference = self.references[index % len(self.references)]
        command, expected = reference.command, reference.reference()
        folder = self.world.attempts / command.name
        if index // len(self.references) % 2 == 0:
            limit = int(np.exp(generator.uniform(np.log(100), np.log(expected["largest"]))))
            self.world.copy(command.stage(), command.name)
            ended = command.start(folder, limits=Limits(file_bytes=limit)).wait()
            return self._kept(index, folder, self._judge_full(ended, command, folder, expected, "a limit for files"))
        if not self.with_mounts:
            return skipped("mounting a memory disk needs root")
        self.world.remove(folder)
        needed = sum(-(-path.stat().st_size // 4096) * 4096 for path in command.stage().rglob("*") if path.is_file())
        size = int(needed + 65536 + generator.uniform(0.0, 1.0) * expected["written"])
        with small_disk(folder, size) as enlarge:
            subprocess.run(["cp", "-a", f"{command.stage()}/.", str(folder)], check=True)
            self.world.own_weights(folder)
            ended = command.start(folder).wait()
            enlarge()
            return self._kept(index, folder, self._judge_full(ended, command, folder, expected, "a small disk"))

    def _judge_full(self, ended: Ended, command: Killable, folder: Path, expected: dict, how: str) -> Outcome:
        """The first ending must name the cause; repeated with space, the command must make what it should."""
        what = f"{command.name}, {how}"
        if wrong := fault(ended, (0, 2), FULL):
            return lost(f"{what}: {wrong}", "wrong ending")
        if ended.code == 2 and (gone := self._spoilt(command, folder, expected)):
            return lost(f"{what}: {', '.join(gone[:5])} of earlier outputs spoilt", "earlier output")
        if ended.code == 2 or differing(digests(folder, command.outputs), expected["digests"]):
            again = command.start(folder).wait()
            if not command.is_done(again):
                return lost(f"{what}, repeated: {again.last_line}", "cannot go on")
        different = differing(digests(folder, command.outputs), expected["digests"])
        if different:
            return lost(f"{what}: {', '.join(different[:5])} differ", "other output")
        return survived("named, and completed later" if ended.code == 2 else "enough space", mode=command.name)

    def read_only(self, index: int, generator: np.random.Generator) -> Outcome:
        """A folder whose permissions forbid writing, in a tree that is otherwise writable."""
        reference = self.references[index % len(self.references)]
        command, expected = reference.command, reference.reference()
        folder = self.world.copy(command.stage(), command.name)
        (folder / "data").mkdir(exist_ok=True)
        folders = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
        denied = folders[0] if index < len(self.references) else folders[int(generator.integers(len(folders)))]
        denied.chmod(0o555)
        ended = command.start(folder, limits=Limits(override=False)).wait()
        denied.chmod(0o755)
        what = f"{command.name}, {denied.relative_to(folder)} read-only"
        return self._kept(index, folder, self._judge_denied(ended, command, folder, expected, what))

    def _judge_denied(self, ended: Ended, command: Killable, folder: Path, expected: dict, what: str) -> Outcome:
        """The ending, or the list of failed photos, must name the cause, or the output be the undisturbed run's."""
        if wrong := fault(ended, (0, 2, 3), DENIED):
            return lost(f"{what}: {wrong}", "wrong ending")
        if ended.code == 2 and (gone := self._spoilt(command, folder, expected)):
            return lost(f"{what}: {', '.join(gone[:5])} of earlier outputs spoilt", "earlier output")
        different = differing(digests(folder, command.outputs), expected["digests"])
        if ended.code == 3:
            return self._judge_listed(command, folder, different, what, DENIED)
        if ended.code == 0 and different:
            return lost(f"{what}: {', '.join(different[:5])} differ", "other output")
        return survived("named" if ended.code == 2 else "nothing is written there", mode=command.name)

    def vanishing(self, index: int, generator: np.random.Generator) -> Outcome:
        """A file that the mode reads is deleted at a random moment, before the run has ended."""
        reference = self.references[index % len(self.references)]
        command, expected = reference.command, reference.reference()
        # Every other time of the first kind, of which there are few files that are read late.
        patterns = READ[command.name][: 1 if index % 2 else None]
        seconds = expected["seconds"]
        for _ in range(MISSES):
            folder = self.world.copy(command.stage(), command.name)
            child = command.start(folder)
            child.process.join(generator.uniform(0.0, 0.8) * seconds)
            if child.process.exitcode is None:
                break
            seconds = min(child.wait().seconds, 0.8 * seconds)  # the computer may be less busy than before
        else:
            return lost(f"the run ended {MISSES} times before a file could be deleted", "the soak failed")
        files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
        victim = files[int(generator.integers(len(files)))] if files else folder / "soak.yaml"
        victim.unlink(missing_ok=True)
        return self._kept(index, folder, self._judge_vanished(child.wait(), command, folder, victim, expected))

    def _judge_vanished(
        self, ended: Ended, command: Killable, folder: Path, victim: Path, expected: dict[str, Any]
    ) -> Outcome:
        """The file was needed no longer, was named, or never belonged to the run; what does not need it is equal."""
        name = victim.relative_to(folder).as_posix()
        what = f"{command.name} without {name}"
        if wrong := fault(ended, (0, 2, 3)):
            return lost(f"{what}: {wrong}", "wrong ending")
        if ended.code == 2:
            if not names(ended.last_line, victim, folder):
                return lost(f"{what}: the error does not name it: {ended.last_line}", "unnamed")
            if gone := [path for path in self._spoilt(command, folder, expected) if path != name]:
                return lost(f"{what}: {', '.join(gone[:5])} of earlier outputs spoilt", "earlier output")
            return survived("named", mode=command.name)
        found = digests(folder, command.outputs)
        different = [path for path in differing(found, expected["digests"]) if path != name]
        if ended.code == 3:
            return self._judge_listed(command, folder, different, what, (victim.name,))
        if not different:
            return survived("was no longer needed", mode=command.name)
        photo = Path(*victim.relative_to(folder).parts[1:])
        others = [path for path in different if not concerns(path, [str(photo)], command.name in TOGETHER)]
        if names(without_bars(ended.errors), victim, folder) and not others:
            return survived("left out, with a message", mode=command.name)
        if found == self._without(command, name):
            return survived("deleted before the run looked for it", mode=command.name)
        return lost(f"{what}: exit code 0, but {', '.join((others or different)[:5])} differ", "other output")

    def _judge_listed(
        self, command: Killable, folder: Path, different: Sequence[str], what: str, causes: Sequence[str]
    ) -> Outcome:
        """Some photos failed: the list must give one of the causes, and whatever does not need them be equal."""
        failed = listed(folder / "out")
        if not any(cause in f"{photo}: {reason}" for photo, reason in failed.items() for cause in causes):
            return lost(f"{what}: exit code 3, but no list of failures names {causes[0]}", "not listed")
        if others := [path for path in different if not concerns(path, failed, command.name in TOGETHER)]:
            return lost(f"{what}: {', '.join(others[:5])} of other photos differ", "other output")
        return survived("listed; the other photos done", mode=command.name)

    def _without(self, command: Killable, name: str) -> dict[str, str] | None:
        """Digests of a run that never had one of its inputs; None if it is no input, or the run cannot do without."""
        if not (command.stage() / name).is_file():
            return None
        folder = self.world.attempts / command.name
        aside = folder.rename(folder.with_name(f"{folder.name} disturbed"))
        self.world.copy(command.stage(), command.name)
        (folder / name).unlink()
        ended = command.start(folder).wait()
        found = digests(folder, command.outputs) if ended.code == 0 else None
        shutil.rmtree(folder)
        aside.rename(folder)
        return found

    def _spoilt(self, command: Killable, folder: Path, expected: dict[str, Any]) -> list[str]:
        """Earlier outputs that are neither left as they were nor replaced by whole ones."""
        earlier = digests(command.stage(), command.outputs)
        return spoilt(digests(folder, command.outputs), earlier, expected["digests"], command.name in REMOVING)

    def _kept(self, index: int, folder: Path, outcome: Outcome) -> Outcome:
        """Keeps the folder of a lost attempt, and removes that of a survived one."""
        if outcome.state == LOST:
            self.world.keep(folder, f"{folder.name}-hardship-{index}")
        elif not folder.is_mount():
            self.world.remove(folder)
        return outcome


def scenarios(world: World, with_mounts: bool) -> list[Scenario]:
    """The scenarios of full disks, read-only folders and vanishing files."""
    return [
        *_scenarios(world, with_mounts, MODES, (6, 3, 6), "", ""),
        *_scenarios(world, with_mounts, PEOPLE, (4, 3, 6), " (people)", ": videos, tracking, people, given landmarks"),
    ]


def _scenarios(
    world: World, with_mounts: bool, modes: Sequence[str], rounds: tuple[int, int, int], suffix: str, what: str
) -> list[Scenario]:
    """Three scenarios with so many rounds of the modes; suffixes distinguish their names and titles."""
    hardship = Hardship(world, with_mounts, modes)
    listed_modes, count = ", ".join(modes), len(modes)
    removing = ", ".join(name for name in modes if name in REMOVING)
    return [
        Scenario(
            f"full disk{suffix}", f"a disk that fills up{what}",
            "in a folder with an earlier output of other options (not training), by turns, no file may exceed a random "
            "size, or the disk is a memory disk with random space left; the run must end with one line that names the "
            f"cause, each earlier file be the old or the new one (of {removing}: or removed, so that none are mixed), "
            "and the same command, repeated with space, must make the undisturbed run's files "
            f"({listed_modes})",
            rounds[0] * count, hardship.full_disk,
        ),
        Scenario(
            f"read-only{suffix}", f"a folder without permission to write{what}",
            "in such a folder, one line that names the cause and every earlier file old or new; or the photo listed "
            "with the cause, and the files of the others as in the undisturbed run; or the undisturbed run's files if "
            f"nothing is written there ({listed_modes})",
            rounds[1] * count, hardship.read_only,
        ),
        Scenario(
            f"vanishing{suffix}", f"a file that is deleted meanwhile{what}",
            "in such a folder, a random file among those that the mode reads, its own intermediate ones included, at a "
            "random moment of the run: the undisturbed run's files if it was no longer needed, or those of a run that "
            "never had it; one line that names it, and every earlier file old or new; or the photo listed with the "
            f"reason, and the files of the others as in the undisturbed run ({listed_modes})",
            rounds[2] * count, hardship.vanishing,
        ),
    ]  # fmt: skip
