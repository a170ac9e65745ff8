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
from benchmarks.soak.damage import SECONDS, judge
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import Reader
from benchmarks.soak.runs.child import Child
from benchmarks.soak.world import World

EXAMPLES = 250
ATHERIS_SECONDS = 20
# TensorFlow cannot be instrumented in reasonable time; these parsers do without.
INSTRUMENTED = [
    "records", "split", "truth", "tent", "PyTorch", "onnx", "basel", "landmarks npy", "landmarks txt",
    "landmarks pts", "configuration", "crop", "jpg", "journal", "index", "surrey", "template",
]  # fmt: skip
# Larger files would be cut, and nothing behind the first check reached: FLAME's, and parts of other face models.
LARGEST = 150_000
COUNT = "files"  # the file to which a guided process writes how many there are
FUZZED = [reader for reader in READERS if reader.fuzzed]


def targets_of(reader: Reader, folder: Path) -> list[Path]:
    """The files of a reader's folder whose contents are replaced."""
    return sorted(path for path in folder.glob(reader.target) if path.is_file())


def check(reader: Reader, folder: Path, target: Path, content: bytes) -> None:
    """Fails unless the content of a file is refused by name, or read."""
    target.write_bytes(content)
    outcome = judge(reader, folder, "", target)
    # Contents that no program wrote may have right checksums by intention; what is read is then what is there.
    assert outcome.state != LOST or outcome.how == "silent", f"{target.name}: {outcome.reason}"


def explore(name: str, folder: str, examples: int, seed: int) -> None:
    """Body of a child: shows a parser random bytes, texts and edited whole contents of each of its files."""
    reader = next(reader for reader in READERS if reader.name == name)
    work = Path(folder)
    reader.make(work)
    for target in targets_of(reader, work):
        whole = target.read_bytes()
        explore_file(reader, work, target, examples, seed)
        target.write_bytes(whole)


def explore_file(reader: Reader, folder: Path, target: Path, examples: int, seed: int) -> None:
    """Shows a parser contents of one of its files."""
    import hypothesis
    from hypothesis import strategies as st

    whole = target.read_bytes()
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
        try:
            check(reader, folder, target, content)
        finally:
            signal.alarm(0)

    parse()


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
    """One process for each file, until one fails; each tells how many files there are."""
    program = [sys.executable, "-m", "benchmarks.soak.guided_fuzzing"]
    number, count = 0, 1
    while number < count:
        (part := folder / str(number)).mkdir()
        command = [*program, reader.name, str(number), str(part), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
        if done.returncode:
            return done.returncode, done.stderr
        number, count = number + 1, int((part / COUNT).read_text())
    return 0, ""


def scenarios(world: World) -> list[Scenario]:
    """The scenarios of random contents."""
    proof = "{by} must be refused by name or read: no traceback, no dead or hanging process"
    guided: Callable[[int, np.random.Generator], Outcome] = FuzzScenario(world, "atheris", _atheris)
    if importlib.util.find_spec("atheris") is None:
        guided = lambda *_: skipped("atheris is not installed (pip install atheris)")  # noqa: E731
    return [
        Scenario(
            "hypothesis", "random contents for every parser",
            proof.format(by=f"{EXAMPLES} random and edited contents of each of its files"), 2 * len(FUZZED),
            FuzzScenario(world, "hypothesis", _hypothesis),
        ),
        Scenario(
            "atheris", "contents guided by coverage",
            proof.format(
                by=f"for {ATHERIS_SECONDS} s a file of at most {LARGEST // 1000} kB, atheris seeks contents that reach "
                f"new code ({', '.join(INSTRUMENTED)}; of surrey the landmark table alone, the model is larger); they"
            ),
            len(INSTRUMENTED), guided,
        ),
    ]  # fmt: skip
