"""Raw files of a set of faces, written in chunks with checksums: what is damaged or missing is known chunk by chunk.

Each array is a file `<name>.raw` in C order; `checksums.raw` holds a uint32 for each chunk of faces: the CRC-32 of its
rows in all files, 0 while the chunk is missing. The files are written, not mapped: a disk that fills up is then an
error of the write, where a mapped page would end the process.
"""

import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.files.atomic import space_for

CHECKSUMS = "checksums.raw"
DONE = "done.raw"  # one byte per chunk, in the place of checksums in sets of earlier versions


class FaceFiles:
    """The files of a set.

    Args:
      folder: folder of the files.
      arrays: name -> (shape, type); the first axis is that of the faces and equally long everywhere.
      chunk: number of faces per chunk.
    """

    def __init__(self, folder: Path, arrays: Mapping[str, tuple[tuple[int, ...], type]], chunk: int):
        self.folder, self.arrays, self.chunk = Path(folder), dict(arrays), chunk
        self.count = next(iter(arrays.values()))[0][0]
        self.chunks = -(-self.count // chunk)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(map(self._length, self.arrays)) + 4 * self.chunks

    @property
    def exists(self) -> bool:
        """True if the set has been begun."""
        return all(self._path(name).is_file() for name in self.arrays)

    def examine(self) -> tuple[list[int], list[int]]:
        """Creates the files, or reads them and compares all checksums.

        Returns:
          Numbers of the chunks that must be rendered, and of those among them that were rendered and are damaged.

        Raises:
          DiskFull: the files cannot be created.
        """
        complete = self.exists
        for name in self.arrays:
            self._resize(self._path(name), self._length(name))
        if not (self.folder / CHECKSUMS).is_file() and complete:
            self._adopt()
        self._resize(self.folder / CHECKSUMS, 4 * self.chunks)
        noted = np.fromfile(self.folder / CHECKSUMS, "<u4")
        damaged = [c for c in np.flatnonzero(noted).tolist() if self._checksum(self._stored(c)) != noted[c]]
        return sorted([*np.flatnonzero(noted == 0).tolist(), *damaged]), damaged

    def write(self, chunk: int, rows: Mapping[str, np.ndarray]) -> None:
        """Writes the faces of a chunk, then its checksum.

        Raises:
          DiskFull: the chunk stays missing.
        """
        contents: dict[str, np.ndarray] = {
            name: np.ascontiguousarray(rows[name], dtype) for name, (_, dtype) in self.arrays.items()
        }
        for name, values in contents.items():
            self._write(self._path(name), chunk * self.chunk * self._row(name), values.tobytes())
        self._write(self.folder / CHECKSUMS, 4 * chunk, self._noted(self._checksum(contents)))

    def load(self, name: str) -> np.ndarray:
        """An array, memory-mapped and read-only."""
        shape, dtype = self.arrays[name]
        return np.memmap(self._path(name), dtype, "r", shape=shape)

    def _adopt(self) -> None:
        """Takes over a set of an earlier version, which noted finished chunks without checksums."""
        done = self.folder / DONE
        if not done.is_file() or done.stat().st_size != self.chunks:
            return
        sums = [self._checksum(self._stored(c)) if finished else 0 for c, finished in enumerate(done.read_bytes())]
        self._resize(self.folder / CHECKSUMS, 4 * self.chunks)
        self._write(self.folder / CHECKSUMS, 0, b"".join(map(self._noted, sums)))
        done.unlink()

    def _stored(self, chunk: int) -> dict[str, np.ndarray]:
        rows = slice(chunk * self.chunk, (chunk + 1) * self.chunk)
        return {name: self.load(name)[rows] for name in self.arrays}

    @staticmethod
    def _checksum(rows: Mapping[str, np.ndarray]) -> int:
        """CRC-32 of the rows of all arrays; never 0, which marks a missing chunk."""
        found = 0
        for values in rows.values():
            found = zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, found)
        return found or 1

    @staticmethod
    def _noted(checksum: int) -> bytes:
        return checksum.to_bytes(4, "little")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.raw"

    def _row(self, name: str) -> int:
        shape, dtype = self.arrays[name]
        return int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize

    def _length(self, name: str) -> int:
        return self.count * self._row(name)

    @staticmethod
    def _resize(path: Path, length: int) -> None:
        with space_for(path), open(path, "ab") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > length:
                print(f"{path}: must have {length} bytes, got {size}; the rest is cut off", file=sys.stderr)
            if size != length:
                stream.truncate(length)

    @staticmethod
    def _write(path: Path, offset: int, content: bytes) -> None:
        with space_for(path), open(path, "r+b") as stream:
            stream.seek(offset)
            stream.write(content)
