"""Check of an output folder: a run replaces the files of an earlier run, and no others."""

import json
from collections.abc import Callable
from pathlib import Path

from lib.errors import UserError

_START = 8192  # bytes at the beginning of a file that show its kind


def _is_summary(content: bytes) -> bool:
    try:
        return {"given", "reconstructed", "failed"} <= set(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        return False


def _is_list(content: bytes) -> bool:
    return all(b": " in line for line in content.splitlines())


# File -> whether it was written by this program, given its contents (of large files, the beginning).
_KINDS: dict[str, Callable[[bytes], bool]] = {
    "index.html": lambda content: b"<title>3D faces from " in content[:_START],
    "summary.csv": lambda content: content.startswith(b"photo,psnr_coarse,"),
    "summary.json": _is_summary,
    "failed.txt": _is_list,
    "sheet.png": lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"),
}


def check_replaceable(output: Path) -> None:
    """Checks the files of a folder that a run over photos would replace.

    Raises:
      UserError: a file was not written by this program.
    """
    for name, is_own in _KINDS.items():
        path = output / name
        if not path.is_file():
            continue
        with open(path, "rb") as stream:
            content = stream.read(None if name in ("summary.json", "failed.txt") else _START)
        if content and not is_own(content):
            raise UserError(
                f"{path}: must be an earlier run's file to be replaced, got another one (choose another --output)"
            )
