"""Flips, truncations and extensions of every kind of file; and how reading the damaged file ends."""

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import shutil
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.attempts import Outcome, Scenario, lost, survived
from benchmarks.soak.judging.naming import names
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import MADE, OPEN, Reader
from benchmarks.soak.runs.child import Child
from benchmarks.soak.world import World
from lib.errors import UserError
from lib.face_image.quality import Unusable
from lib.records.crop_files import BadImage

BATCH = 40  # attempts per child
SECONDS = 60  # within which a file must be read
REFUSALS = (UserError, Unusable, BadImage)
# The callers of readers with these refusals list photo and reason; the message need not repeat the name.
_NAMED_BY_CALLER = (Unusable, BadImage)


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Content with a flipped bit or byte, zeroed bytes, a cut end or an extension; half of the places near an end.

    The structure of most formats is near one of the two ends of the file.
    """
    size = len(content)
    near = min(size, 256)
    places = [
        generator.integers(0, size + 1, 2),
        generator.integers(0, near + 1),
        size - generator.integers(0, near + 1),
    ]
    place = int(generator.choice(np.hstack(places)))
    changed = bytearray(content)
    kind = generator.choice(["bit", "byte", "zeros", "cut", "longer", "empty"], p=[0.4, 0.2, 0.2, 0.12, 0.06, 0.02])
    if place == size:  # behind the last byte, which only an extension can change
        kind = "longer"
    if kind == "bit":
        changed[place] ^= 1 << int(generator.integers(0, 8))
    elif kind == "byte":
        changed[place] ^= int(generator.integers(1, 256))
    elif kind == "zeros":
        length = int(generator.integers(1, 17))
        changed[place : place + length] = bytes(len(changed[place : place + length]))
    elif kind == "cut":
        del changed[place:]
    elif kind == "longer":
        changed += generator.bytes(int(generator.integers(1, 600)))
    else:
        changed.clear()
    return bytes(changed)


def judge(reader: Reader, folder: Path, whole: str, target: Path) -> Outcome:
    """Reads a folder with a damaged file, and judges how it ended.

    Args:
      reader: the kind of file.
      folder: holds the damaged file.
      whole: digest of what is read from the whole file.
      target: the damaged file.
    """
    kept, printed = target.read_bytes(), io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            found = digest(reader.read(folder))
    except REFUSALS as error:
        message = str(error)
        if names(message, target) or re.search(reader.named, message) or isinstance(error, _NAMED_BY_CALLER):
            return survived("refused by name")
        return lost(f"refused without a name: {message}", "unnamed")
    except OSError as error:
        if error.filename and names(str(error), target):
            return survived("refused by name")
        return lost(_where(error), "traceback")
    except Exception as error:
        return lost(_where(error), "traceback")
    said = printed.getvalue()
    if found == whole:
        if names(said, target):
            return survived("made again, with a message")
        # Parts that are joined with others are deleted: their content is in the whole.
        if target.is_file() and target.read_bytes() != kept:
            return lost("the damaged file was replaced without a message", "made again silently")
        return survived("harmless: the same content was read")
    if reader.origin == OPEN:
        return survived("another content of the same form")
    return lost(f"other content was read silently ({said.strip()[:200]})", "silent")


def digest(value: Any) -> str:
    """Digest of arrays, texts and numbers, nested in any way."""
    hasher = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, dict):
            for name in sorted(part):
                add(name)
                add(part[name])
        elif isinstance(part, (list, tuple)):
            for entry in part:
                add(entry)
        elif isinstance(part, np.ndarray):
            hasher.update(f"{part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        elif dataclasses.is_dataclass(part) and not isinstance(part, type):
            add({field.name: getattr(part, field.name) for field in dataclasses.fields(part)})
        elif type(part).__repr__ is object.__repr__:
            raise TypeError(f"what a reader returns must be arrays, texts and numbers, got {part}")  # shows an address
        else:
            hasher.update(part if isinstance(part, bytes) else repr(part).encode())

    add(value)
    return hasher.hexdigest()


def judge_all(indices: Sequence[int], seeds: Sequence[Sequence[int]], inputs: str, work: str, results: str) -> None:
    """Body of a child: makes attempts, and appends the index and the outcome of each to a file.

    A file that ends the process, or is not read in time, is the one behind the last line.
    """
    digests: dict[str, str] = {}
    for index, seed in zip(indices, seeds, strict=True):
        generator = np.random.default_rng(list(seed))
        reader = READERS[index % len(READERS)]
        whole, folder = Path(inputs) / reader.name, Path(work) / reader.name
        signal.alarm(SECONDS)  # its default action ends the process
        if reader.name not in digests:
            digests[reader.name] = _prepare(reader, whole, folder)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        targets = sorted(path for path in folder.glob(reader.target) if path.is_file())
        target = targets[int(generator.integers(len(targets)))]
        target.write_bytes(damaged(target.read_bytes(), generator))
        kept = target.read_bytes()
        outcome = judge(reader, folder, digests[reader.name], target)
        signal.alarm(0)
        if outcome.reason:
            keep = Path(results).with_name(f"{reader.name}-{index}-{target.name}".replace(" ", "_"))
            keep.write_bytes(kept)
        with open(results, "a", encoding="utf-8") as stream:
            stream.write(json.dumps([index, {**dataclasses.asdict(outcome), "figures": {"kind": reader.name}}]) + "\n")


def _prepare(reader: Reader, whole: Path, folder: Path) -> str:
    """Makes the whole file where it is missing; returns the digest of what is read from it."""
    if not whole.exists():
        making = whole.with_name(f"{whole.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        reader.make(making)
        making.rename(whole)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    return digest(reader.read(folder))


class DamageScenario:
    """Attempts at reading a damaged file, made in batches in a child process, which may die of them.

    Args:
      world: folders of inputs and attempts.
      scenario: name, part of every attempt's seed.
      attempts: number of attempts.
      seed: of the soak.
    """

    def __init__(self, world: World, scenario: str, attempts: int, seed: int):
        self.world, self.scenario, self.attempts, self.seed = world, scenario, attempts, seed
        self._known: dict[int, Outcome] = {}

    def __call__(self, index: int, _: np.random.Generator) -> Outcome:
        """Makes an attempt; see `Scenario.run`."""
        if index not in self._known:
            self._make(list(range(index, min(index + BATCH, self.attempts))))
        return self._known.pop(index)

    def _make(self, indices: list[int]) -> None:
        folder = self.world.attempts / self.scenario
        self.world.remove(folder)
        folder.mkdir(parents=True)
        results = self.world.folder / "losses" / f"{self.scenario}.jsonl"
        results.parent.mkdir(parents=True, exist_ok=True)
        results.unlink(missing_ok=True)
        seeds = [[self.seed, index, *self.scenario.encode()] for index in indices]
        inputs = self.world.inputs / "files"
        child = Child(
            "benchmarks.soak.damage:judge_all", (indices, seeds, str(inputs), str(folder), str(results)), folder
        )
        ended = child.wait(BATCH * SECONDS)
        lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else []
        for index, entry in map(json.loads, lines):
            self._known[index] = Outcome(**entry)
        if ended.code != 0:
            first = next(index for index in indices if index not in self._known)
            reader = READERS[first % len(READERS)]
            shutil.copytree(folder / reader.name, results.with_name(f"{reader.name}-{first}"), dirs_exist_ok=True)
            how = "hung" if ended.code == -signal.SIGALRM else "the process died"
            self._known[first] = lost(
                f"{reader.name}: exit code {ended.code}: {ended.last_line}", how, kind=reader.name
            )


def _where(error: BaseException) -> str:
    """Type, message and place of an exception."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({Path(place.filename).name}:{place.lineno})"


def scenarios(world: World, seed: int) -> list[Scenario]:
    """The scenario of damaged files."""
    made = ", ".join(reader.files for reader in READERS if reader.origin == MADE)
    proof = (
        f"a bit, a byte or some bytes of a file change, or it is cut, extended or emptied. Files of the program itself "
        f"({made}) must be refused by name or made again with a message, or be read unchanged; files of others must be "
        "refused by name, or be read as another content of the same form if their format has no checksum: no "
        "traceback, no dead or hanging process"
    )
    attempts = 1000
    run = DamageScenario(world, "damage", attempts, seed)
    return [Scenario("damage", "files flipped, cut and extended", proof, attempts, run, alone=True)]
