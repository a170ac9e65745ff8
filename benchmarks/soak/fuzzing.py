"""Random contents for every parser: hypothesis, and atheris guided by coverage where it is installed."""

import functools
import importlib.util
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.soak.attempts import LOST, Outcome, Scenario, lost, skipped, survived
from benchmarks.soak.child import Child
from benchmarks.soak.damage import SECONDS, judge
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import Reader
from benchmarks.soak.world import World

EXAMPLES = 250
ATHERIS_SECONDS = 20
# TensorFlow cannot be instrumented in reasonable time; these parsers do without.
INSTRUMENTED = [
    "records", "split", "truth", "face model", "tent", "PyTorch", "onnx", "basel", "landmarks npy", "landmarks txt",
    "landmarks pts", "configuration", "crop", "jpg", "journal", "index", "flame", "surrey", "template",
]  # fmt: skip
FUZZED = [reader for reader in READERS if reader.fuzzed]


def put(reader: Reader, folder: Path, content: bytes) -> Path:
    """Replaces the first target of a reader by other content."""
    target = min(path for path in folder.glob(reader.target) if path.is_file())
    target.write_bytes(content)
    return target


def check(reader: Reader, folder: Path, content: bytes) -> None:
    """Fails unless the content is refused by name, or read."""
    target = put(reader, folder, content)
    outcome = judge(reader, folder, "", target)
    # Contents that no program wrote may have right checksums by intention; what is read is then what is there.
    assert outcome.state != LOST or outcome.how == "silent", outcome.reason


def explore(name: str, folder: str, examples: int, seed: int) -> None:
    """Body of a child: shows a parser random bytes, texts and edited whole files."""
    import hypothesis
    from hypothesis import strategies as st

    reader = next(reader for reader in READERS if reader.name == name)
    work = Path(folder)
    reader.make(work)
    whole = content_of(reader, work)
    edits = st.lists(st.tuples(st.integers(0, max(len(whole) - 1, 0)), st.binary(max_size=8)), max_size=6)
    edited = st.builds(functools.partial(edit, whole), edits, st.integers(0, len(whole)))
    texts = st.text(st.characters(codec="utf-8"), max_size=300).map(str.encode)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(st.one_of(edited, edited, st.binary(max_size=600), texts))
    def parse(content: bytes) -> None:
        signal.alarm(SECONDS)
        check(reader, work, content)
        signal.alarm(0)

    parse()


def content_of(reader: Reader, folder: Path) -> bytes:
    """The content of a reader's first target."""
    return min(path for path in folder.glob(reader.target) if path.is_file()).read_bytes()


def edit(whole: bytes, edits: list[tuple[int, bytes]], length: int) -> bytes:
    """Overwrites parts of a file; a `length` below half of the file cuts it."""
    changed = bytearray(whole)
    for place, piece in edits:
        changed[place : place + len(piece)] = piece
    return bytes(changed if length > len(whole) // 2 else changed[:length])


class FuzzScenario:
    """Attempts at the parsers, one after the other.

    Args:
      world: folders of inputs and attempts.
      name: of the scenario.
      start: runs a parser in a child; returns the exit code and the last line on stderr.
    """

    def __init__(self, world: World, name: str, start: Callable[[Reader, Path, int], tuple[int, str]]):
        self.world, self.name, self.start = world, name, start

    def __call__(self, index: int, generator: np.random.Generator) -> Outcome:
        """Makes an attempt; see `Scenario.run`."""
        readers = FUZZED if self.name == "hypothesis" else [r for r in READERS if r.name in INSTRUMENTED]
        reader = readers[index % len(readers)]
        folder = self.world.attempts / self.name
        self.world.remove(folder)
        folder.mkdir(parents=True)
        code, errors = self.start(reader, folder, int(generator.integers(2**31)))
        if code == 0:
            return survived("no fault found", kind=reader.name)
        kept = self.world.folder / "losses" / f"{self.name}-{reader.name}-{index}"
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        return lost(f"{reader.name}: exit code {code}: {errors[-2000:]} (kept in {kept})", "a fault", kind=reader.name)


def _hypothesis(reader: Reader, folder: Path, seed: int) -> tuple[int, str]:
    ended = Child("benchmarks.soak.fuzzing:explore", (reader.name, str(folder), EXAMPLES, seed), folder).wait()
    return ended.code, ended.errors


def _atheris(reader: Reader, folder: Path, seed: int) -> tuple[int, str]:
    command = [sys.executable, "-m", "benchmarks.soak.guided_fuzzing", reader.name, str(folder), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    return done.returncode, done.stderr


def scenarios(world: World) -> list[Scenario]:
    """The scenarios of random contents."""
    proof = "{by} contents of a file must be refused by name or read: no traceback, no dead or hanging process"
    guided: Callable[[int, np.random.Generator], Outcome] = FuzzScenario(world, "atheris", _atheris)
    if importlib.util.find_spec("atheris") is None:
        guided = lambda *_: skipped("atheris is not installed (pip install atheris)")  # noqa: E731
    return [
        Scenario(
            "hypothesis", "random contents for every parser",
            proof.format(by=f"{EXAMPLES} random and edited"), 2 * len(FUZZED),
            FuzzScenario(world, "hypothesis", _hypothesis),
        ),
        Scenario(
            "atheris", "contents guided by coverage",
            proof.format(by=f"for {ATHERIS_SECONDS} s an attempt, atheris seeks inputs that reach new code;"),
            len(INSTRUMENTED), guided,
        ),
    ]  # fmt: skip
