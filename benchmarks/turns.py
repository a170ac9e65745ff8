"""Two or more programs measured in turns, each in a process of its own.

Other work on the machine then slows all of them, and the ratio of their times holds. None shares threads, memory or
settings with another.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

Figures = dict[str, float]


class MissingPeer(Exception):
    """A side of a comparison cannot run on this machine; the message is the reason."""


class Side:
    """A process that runs `serve`.

    Args:
      command: starts the process.
    """

    def __init__(self, command: Sequence[str]):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, count: int) -> Figures:
        """Lets the process measure `count` steps.

        Raises:
          MissingPeer: the process cannot measure on this machine.
          RuntimeError: the process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            code = self.process.wait()
            raise RuntimeError(f"the process must answer, got its end (exit code {code}; its error is above)")
        figures = json.loads(answer)
        if isinstance(figures, str):
            raise MissingPeer(figures)
        return figures

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()


def serve(prepare: Callable[[], Callable[[int], Figures]]) -> None:
    """Measures as many steps as each line of the standard input says, and answers with one line of JSON.

    Args:
      prepare: called at the first line; returns the function that measures a number of steps. What either prints goes
        to stderr.
    """
    answers, measure = sys.stdout, None
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            try:
                measure = measure or prepare()
                answer: Figures | str = measure(int(line))
            except MissingPeer as reason:
                answer = str(reason)
            print(json.dumps(answer), file=answers, flush=True)


def rounds(sides: Sequence[str], turns: int) -> Iterator[tuple[int, list[str]]]:
    """Number of each turn and the order of its sides; another one begins in each.

    Turn 0, which compiles and fills caches, should not count; so many `turns` follow.
    """
    for turn in range(turns + 1):
        first = turn % len(sides)
        yield turn, [*sides[first:], *sides[:first]]


def take_turns(sides: Mapping[str, Side], turns: int, count: int) -> dict[str, dict[str, list[float]]]:
    """Figures of all turns, by side and name; the side that begins changes from turn to turn.

    Args:
      sides: the processes, by name.
      turns: number of turns of each side.
      count: steps of a turn.
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    for _, order in rounds(list(sides), turns - 1):  # all count: the sides have compiled before
        for name in order:
            for figure, value in sides[name].measure(count).items():
                found[name].setdefault(figure, []).append(value)
    return found
