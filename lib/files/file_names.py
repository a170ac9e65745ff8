"""Names of files: whether one that comes out of a file stays in its folder, and how any is written down."""

import re
from pathlib import PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")


def name_fault(name: object) -> str | None:
    """What is wrong with a name that was read from a file, None where it names something below any folder.

    The rules are the same on every system, so that a file is good everywhere or nowhere: relative, without `..`, NUL
    and the drive letters of Windows, whose separator counts as one, too.
    """
    if not isinstance(name, str) or not name:
        return f"a file name must be a text, got {name!r}"
    path = PurePosixPath(name.replace("\\", "/"))
    if "\0" in name or path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        return f"a file name must stay within its folder, got {name!r}"
    return None


def printable(name: str) -> str:
    """A file name as one printable line; a name that is not UTF-8 could not be written out at all."""
    return name if name.isprintable() else repr(name)[1:-1]
