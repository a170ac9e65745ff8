"""A full disk, folders that may not be written to, and files that vanish, in every mode."""

import contextlib
import csv
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.soak.attempts import SURVIVED, Outcome, Scenario, lost, skipped, survived
from benchmarks.soak.child import Ended, Limits
from benchmarks.soak.kills import Killable, KillScenario, commands
from benchmarks.soak.world import World, differing, digests

MODES = ("packing", "eager training", "pretraining", "preparing", "testing", "evaluating", "masks")
# Further ones, in scenarios of their own, so that the attempts of the others keep their numbers.
MERGED = "same person"
PEOPLE = ("video", "frames", "tracking", MERGED, "landmarks")
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
# Spellings of the causes in messages of the system and of the program.
FULL = ("must fit on its disk", "No space left", "File too large", "MB must be free", "Disk quota")
DENIED = ("Permission denied", "Read-only file system", "Operation not permitted", "nothing may be written")


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


def fault(ended: Ended, codes: tuple[int, ...], causes: tuple[str, ...] = ()) -> str:
    """The fault of an ending that must have one of some exit codes; empty if there is none.

    Code 2 requires an error of one line, which names one of the `causes` if there are any.
    """
    if ended.traceback:
        return f"a traceback: {ended.last_line}"
    if ended.code not in codes:
        return f"exit code {ended.code}: {ended.last_line}"
    if ended.code == 2 and not ended.last_line.startswith("error: "):
        return f"no line with the error: {ended.last_line}"
    if ended.code == 2 and causes and not any(cause in ended.last_line for cause in causes):
        return f"the error does not name the cause: {ended.last_line}"
    return ""


class Hardship:
    """Attempts of one kind at several modes, in turn.

    Args:
      world: folders of inputs and attempts.
      with_mounts: whether memory disks may be mounted.
      modes: names of commands; an odd number, because every other attempt is of another kind.
    """

    def __init__(self, world: World, with_mounts: bool, modes: Sequence[str]):
        self.world, self.with_mounts = world, with_mounts
        known = commands(world)
        self.references = [KillScenario(world, known[name]) for name in modes]

    def full_disk(self, index: int, generator: np.random.Generator) -> Outcome:
        """Every other attempt on a memory disk, the others under a limit for the size of a file."""
        reference = self.references[index % len(self.references)]
        command, expected = reference.command, reference.reference()
        folder = self.world.attempts / command.name
        if index // len(self.references) % 2 == 0:
            limit = int(np.exp(generator.uniform(np.log(100), np.log(expected["largest"]))))
            self.world.copy(command.stage(), command.name)
            ended = command.start(folder, limits=Limits(file_bytes=limit)).wait()
            return self._judge_full(ended, command, folder, expected["digests"], "a limit for files")
        if not self.with_mounts:
            return skipped("mounting a memory disk needs root")
        self.world.remove(folder)
        needed = sum(-(-path.stat().st_size // 4096) * 4096 for path in command.stage().rglob("*") if path.is_file())
        size = int(needed + 65536 + generator.uniform(0.0, 1.0) * expected["written"])
        with small_disk(folder, size) as enlarge:
            subprocess.run(["cp", "-a", f"{command.stage()}/.", str(folder)], check=True)
            ended = command.start(folder).wait()
            enlarge()
            return self._judge_full(ended, command, folder, expected["digests"], "a small disk")

    def _judge_full(self, ended: Ended, command: Killable, folder: Path, expected: dict[str, str], how: str) -> Outcome:
        """The first ending must name the cause; repeated with space, the command must make what it should."""
        if wrong := fault(ended, (0, 2), FULL):
            return lost(f"{command.name}, {how}: {wrong}", "wrong ending")
        if ended.code == 2 or differing(digests(folder, command.outputs), expected):
            again = command.start(folder).wait()
            if again.code != 0 and command.finished not in again.errors:
                return lost(f"{command.name}, {how}, repeated: {again.last_line}", "cannot go on")
        different = differing(digests(folder, command.outputs), expected)
        if different:
            return lost(f"{command.name}, {how}: {', '.join(different[:5])} differ", "other output")
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
        if wrong := fault(ended, (0, 2), DENIED):
            return lost(f"{what}: {wrong}", "wrong ending")
        if ended.code == 0 and (different := differing(digests(folder, command.outputs), expected["digests"])):
            return lost(f"{what}: {', '.join(different[:5])} differ", "other output")
        self.world.remove(folder)
        return survived("named" if ended.code == 2 else "nothing is written there", mode=command.name)

    def vanishing(self, index: int, generator: np.random.Generator) -> Outcome:
        """A file that the mode reads is deleted at a random moment."""
        reference = self.references[index % len(self.references)]
        command, expected = reference.command, reference.reference()
        folder = self.world.copy(command.stage(), command.name)
        child = command.start(folder)
        child.process.join(generator.uniform(0.0, 0.8) * expected["seconds"])
        # Every other time of the first kind, of which there are few files that are read late.
        patterns = READ[command.name][: 1 if index % 2 else None]
        files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
        victim = files[int(generator.integers(len(files)))] if files else folder / "soak.yaml"
        victim.unlink(missing_ok=True)
        outcome = self._judge_vanished(child.wait(), command, folder, victim, expected["digests"])
        if outcome.state == SURVIVED:
            self.world.remove(folder)
        return outcome

    def _judge_vanished(
        self, ended: Ended, command: Killable, folder: Path, victim: Path, expected: dict[str, str]
    ) -> Outcome:
        """The file was needed no longer, was named, or never belonged to the run; what does not need it is equal."""
        name = victim.relative_to(folder).as_posix()
        what = f"{command.name} without {name}"
        if wrong := fault(ended, (0, 2, 3)):
            return lost(f"{what}: {wrong}", "wrong ending")
        if ended.code == 2:
            return survived("named", mode=command.name)
        different = [path for path in differing(digests(folder, command.outputs), expected) if path != name]
        if ended.code == 3:
            failed = listed(folder / "out")
            if not any(victim.name in f"{photo}: {reason}" for photo, reason in failed.items()):
                return lost(f"{what}: exit code 3, but no list of failures names it", "not listed")
            if different := [path for path in different if not concerns(path, failed, command.name == MERGED)]:
                return lost(f"{what}: {', '.join(different[:5])} of other photos differ", "other output")
            return survived("listed; the other photos done", mode=command.name)
        if not different:
            return survived("was no longer needed", mode=command.name)
        if victim.name in ended.errors:
            return survived("left out, with a message", mode=command.name)
        found = digests(folder, command.outputs)
        if found == self._without(command, name):
            return survived("deleted before the run looked for it", mode=command.name)
        return lost(f"{what}: exit code 0, but {', '.join(different[:5])} differ", "other output")

    def _without(self, command: Killable, name: str) -> dict[str, str] | None:
        """Digests of a run that never had one of its inputs; None if it is no input, or the run cannot do without."""
        folder = self.world.copy(command.stage(), command.name)
        if not (folder / name).is_file():
            return None
        (folder / name).unlink()
        ended = command.start(folder).wait()
        return digests(folder, command.outputs) if ended.code == 0 else None


def listed(output: Path) -> dict[str, str]:
    """Photos that a run lists as failed or left out, with the reasons."""
    failed = {}
    if (path := output / "failed.txt").is_file():
        failed |= dict(line.split(": ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    if (path := output / "left_out.csv").is_file():
        with open(path, newline="", encoding="utf-8") as stream:
            failed |= {row["photo"]: row["reason"] for row in csv.DictReader(stream)}
    return failed


def concerns(path: str, failed: Iterable[str], merged: bool) -> bool:
    """True if an output file may differ because some photos failed: their own, and those of the whole run.

    Args:
      path: of the file, below the run's folder.
      failed: names of the photos.
      merged: photos of a person share what is found in all of them.
    """
    folders = Path(path).parts[1:-1]
    if folders in ((), ("sheets",)):
        return True
    for photo in map(Path, failed):
        own = photo.parent if merged else photo.with_suffix("")
        crop = "__".join(photo.with_suffix("").parts)
        if Path(*folders).is_relative_to(own) or path == f"out/crops/{crop}.png":
            return True
    return False


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
    names, count = ", ".join(modes), len(modes)
    return [
        Scenario(
            f"full disk{suffix}", f"a disk that fills up{what}",
            "by turns, no file may exceed a random size, or the disk is a memory disk with random space left; the run "
            "must end with one line that names the cause, and the same command, repeated with space, must make the "
            f"undisturbed run's files ({names})",
            rounds[0] * count, hardship.full_disk,
        ),
        Scenario(
            f"read-only{suffix}", f"a folder without permission to write{what}",
            "one line that names the cause, or the undisturbed run's files if nothing is written there "
            f"({names})",
            rounds[1] * count, hardship.read_only,
        ),
        Scenario(
            f"vanishing{suffix}", f"a file that is deleted meanwhile{what}",
            "a random file among those that the mode reads, its own intermediate ones included, at a random moment: "
            "the undisturbed run's files if it was no longer needed, or those of a run that never had it; one line; or "
            f"the photo listed with the reason, and the files of the others as in the undisturbed run ({names})",
            rounds[2] * count, hardship.vanishing,
        ),
    ]  # fmt: skip
