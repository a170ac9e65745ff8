"""Check of an output folder: a run replaces the files of an earlier run, and no others."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lib.errors import UserError

# Whether a file was written by this program, given its contents (of files other than .json and .txt, the beginning).
IsOwn = Callable[[bytes], bool]
_START = 8192  # bytes at the beginning of a file that show its kind
_WHOLE = (".json", ".txt")


def begins(start: bytes) -> IsOwn:
    """Recognises files by their first bytes."""
    return lambda content: content.startswith(start)


def contains(text: bytes) -> IsOwn:
    """Recognises files by a text near their beginning, such as a page's title."""
    return lambda content: text in content[:_START]


def has_keys(*keys: str) -> IsOwn:
    """Recognises JSON objects by some of their keys."""

    def recognise(content: bytes) -> bool:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and set(keys) <= found.keys()

    return recognise


is_png = begins(b"\x89PNG\r\n\x1a\n")


def is_own(path: Path, kind: IsOwn) -> bool:
    """Whether a file is of a kind."""
    with open(path, "rb") as stream:
        return kind(stream.read(None if path.suffix in _WHOLE else _START))


def check_replaceable(folder: Path, kinds: Mapping[str, IsOwn]) -> None:
    """Checks the files of a folder that a run would replace; empty files may always be.

    Args:
      folder: need not exist.
      kinds: name -> function that recognises the program's own file of this name.

    Raises:
      UserError: a file was not written by this program.
    """
    for name, kind in kinds.items():
        path = folder / name
        if path.is_file() and path.stat().st_size and not is_own(path, kind):
            raise UserError(
                f"{path}: must be an earlier run's file to be replaced, got another one (choose another --output)"
            )
