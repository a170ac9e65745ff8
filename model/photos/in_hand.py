"""The photo in hand, noted on disk, and those at which a process was killed: what a run tells the next one.

A photo may end the process that works on it: by a fault of a library, or for lack of memory. If that process is the
program itself, only a note that nobody removed says so.
"""

import contextlib
import json
from collections.abc import Container, Iterator
from pathlib import Path

from lib.errors import DiskFull, UserError
from lib.files.json_files import with_checksum, without_checksum, write_json
from lib.sidecar.photo_key import photo_key


class PhotosInHand:
    """Photos that have killed their process, and have not changed since.

    The file exists only while there are such photos, or one is in hand; `keep_only` forgets those that are gone. It
    needs room on the disk and a folder that can be written; without, the run goes on, because it is only needed if the
    worst happens.

    Args:
      path: the file; one run at a time may use it.
    """

    def __init__(self, path: Path):
        self._path = path
        self._states = _read(path)  # name -> key of the photo

    def has_killed(self, name: str, photo: Path) -> bool:
        """True if a process was killed at a photo of this name, in its present state."""
        return name in self._states and self._states[name] == _key(photo)

    def keep_only(self, names: Container[str]) -> None:
        """Removes the notes of all other photos, which have been deleted or renamed."""
        gone = [name for name in self._states if name not in names]
        for name in gone:
            del self._states[name]
        if gone:
            self._write()

    @contextlib.contextmanager
    def held(self, name: str, photo: Path) -> Iterator[None]:
        """Context manager for the work on a photo in this process; any exception, as of Ctrl-C, is no kill."""
        self.add(name, photo)
        try:
            yield
        finally:
            self.remove(name)

    def add(self, name: str, photo: Path) -> None:
        """Notes a photo at which a process was killed, or may be."""
        self._states[name] = _key(photo)
        self._write()

    def remove(self, name: str) -> None:
        """Removes the note of a photo, if there is one."""
        if self._states.pop(name, None) is not None:
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError, DiskFull, UserError):
            if self._states:
                write_json(self._path, with_checksum({"killed": self._states}))
            else:
                self._path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, str]:
    """The notes of an earlier run; none if the file is damaged."""
    try:
        return {str(name): str(key) for name, key in without_checksum(json.loads(path.read_bytes()))["killed"].items()}
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        return {}


def _key(photo: Path) -> str:
    return photo_key(photo, "", beside=True, name="")
