"""How a run may end, and which of its files may differ then."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.soak.runs.child import Ended

# Spellings of the causes in messages of the system and of the program.
FULL = ("must fit on its disk", "No space left", "File too large", "MB must be free", "Disk quota")
DENIED = ("Permission denied", "Read-only file system", "Operation not permitted", "nothing may be written")


# Journals of runs, to which each record is appended.
GROWING = ("progress.jsonl",)


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


def spoilt(
    found: Mapping[str, str], earlier: Mapping[str, str], expected: Mapping[str, str], removed: bool = False
) -> list[str]:
    """Files of earlier outputs that a failed run has neither left nor replaced by whole new ones.

    Args:
      found, earlier, expected: file -> digest after the failed run, before it, and after an undisturbed one.
      removed: whether the mode removes earlier results before it writes its own, so that none are mixed.
    """
    kept = {path for path in earlier if not path.endswith(GROWING) and (path in found or not removed)}
    return sorted(path for path in kept if found.get(path) not in (earlier[path], expected.get(path)))


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
    if folders in ((), ("sheets",)) or folders[:1] == ("params",):
        return True
    for photo in map(Path, failed):
        own = photo.parent if merged else photo.with_suffix("")
        crop = "__".join(photo.with_suffix("").parts)
        if Path(*folders).is_relative_to(own) or path == f"out/crops/{crop}.png":
            return True
    return False
