"""A list in a temporary file, for items that one pass over many photos writes and the next one reads."""

import pickle
import tempfile
import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar

from lib.files.atomic import space_for

Item = TypeVar("Item")


class DiskList(Generic[Item]):
    """Append-only list of picklable items, stored on disk.

    The unnamed file is in the system's temporary folder (TMPDIR) and disappears with the process.
    """

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the list lives
        self._places: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Item:
        start, length = self._places[index]
        self._file.seek(start)
        return pickle.loads(zlib.decompress(self._file.read(length)))

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def append(self, item: Item) -> None:
        """Appends an item.

        Raises:
          DiskFull: the temporary folder has no space left.
        """
        data = zlib.compress(pickle.dumps(item, pickle.HIGHEST_PROTOCOL), level=1)
        with space_for(tempfile.gettempdir()):
            place = self._file.seek(0, 2)
            self._file.write(data)
            self._file.flush()
        self._places.append((place, len(data)))
