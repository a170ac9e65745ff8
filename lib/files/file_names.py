"""Checks of file names: names read from a file must stay in their folder, and names must be listable and printable."""

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")
# Characters that Windows, and file systems made for it (exFAT, network folders), do not have in names.
_FOREIGN = re.compile(r'[<>:"|?*\x00-\x1f]')
# Names that Windows keeps for devices, with any ending, and those whose last character it drops.
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?|.*[. ]", re.IGNORECASE)
MOST_BYTES = 255  # in a name, on all common file systems


def name_fault(name: object) -> str | None:
    """The reason why a name read from a file is unsafe; None if it is safe, that is, stays below any folder.

    The rules are the same on every system, so that a file is valid everywhere or nowhere: relative, without `..`, NUL
    and Windows drive letters; the backslash counts as a separator.
    """
    if not isinstance(name, str) or not name:
        return f"a file name must be a text, got {name!r}"
    path = PurePosixPath(name.replace("\\", "/"))
    if "\0" in name or path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        return f"a file name must stay within its folder, got {name!r}"
    return None


def is_portable(name: str) -> bool:
    """False if Windows cannot have a file or folder of this name: aux, a:b, or a name that ends in a dot or a space."""
    return _RESERVED.fullmatch(name) is None and _FOREIGN.search(name) is None


def without_foreign(name: str) -> str:
    """The name with `_` in place of characters that Windows does not have in names."""
    return _FOREIGN.sub("_", name)


def line_fault(name: str) -> str | None:
    """The reason why a name cannot be a line of a UTF-8 list; None if it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"a file name must be UTF-8 to be listed, got {name!r}"
    return f"a file name must be one line to be listed, got {name!r}" if set(name) & {"\n", "\r"} else None


def fitting(stem: str, ending: str) -> str:
    """The file name `stem + ending`; if file systems do not allow its length, a hash replaces the end of the stem."""
    return fitting_stem(stem, len(os.fsencode(ending))) + ending


def fitting_stem(stem: str, ending: int) -> str:
    """`stem`, or as much of it and a hash as leave room for `ending` more bytes in a file name."""
    encoded, room = os.fsencode(stem), MOST_BYTES - ending
    if len(encoded) <= room:
        return stem
    mark = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
    # Half a character at the cut is dropped.
    return encoded[: room - len(mark)].decode(errors="ignore") + mark


def by_numbers(name: str) -> tuple[list[tuple[str, int]], str]:
    """Key that sorts names as people number them: `frame2` before `frame10`."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", name)
    return [(text, int(number or 0)) for text, number in parts], name


def names_file(path: Path) -> bool:
    """True if a path names a file that may be looked at; unlike `Path.is_file`, also for names too long for any."""
    try:
        return len(os.fsencode(path.name)) <= MOST_BYTES and path.is_file()
    except PermissionError:  # of a folder above it
        return False


def printable(name: str) -> str:
    """A file name as one printable line; bytes that are not UTF-8, which cannot be printed, are escaped."""
    return name if name.isprintable() else repr(name)[1:-1]
