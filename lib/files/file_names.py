"""Checks of file names: that one read from a file stays in its folder, that one can be listed or printed."""

import re
from pathlib import PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")


def name_fault(name: object) -> str | None:
    """Why a name that was read from a file must not be used, None where it stays below any folder.

    The rules are the same on every system, so that a file is good everywhere or nowhere: relative, without `..`, NUL
    and Windows drive letters; the backslash counts as a separator.
    """
    if not isinstance(name, str) or not name:
        return f"a file name must be a text, got {name!r}"
    path = PurePosixPath(name.replace("\\", "/"))
    if "\0" in name or path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        return f"a file name must stay within its folder, got {name!r}"
    return None


def line_fault(name: str) -> str | None:
    """Why a name cannot stand on a line of its own in a UTF-8 list, None where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"a file name must be UTF-8 to be listed, got {name!r}"
    return f"a file name must be one line to be listed, got {name!r}" if set(name) & {"\n", "\r"} else None


def printable(name: str) -> str:
    """A file name as one printable line; a name that is not UTF-8 could not be written out at all."""
    return name if name.isprintable() else repr(name)[1:-1]
