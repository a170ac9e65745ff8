"""Self-describing binary file of images of equal size with random access.

Layout, all numbers little-endian:

    bytes 0..7    magic, with a line break that text-mode copying would corrupt
    bytes 8..19   uint32 each: format version, length of the JSON header, its CRC-32
    then          JSON header: shape, dtype, count, offset of record 0, file size, length and CRC-32 of the index,
                  metadata; zeros up to record 0
    then          `count` records of uint8 in C order
    last          index: CRC-32 of every record (uint32 each), then the names as a JSON list

The same class reads the original program's headerless float32 file (RGB in [-1, 1], alpha in [0, 1]) if the image size
is given.
"""

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import UserError
from lib.records.checks import checked_header, checked_names
from lib.records.records import Records

MAGIC = b"FACERGB\n"
VERSION = 1
PREAMBLE = struct.Struct("<8s3I")


class RecordReader(Records):
    """Random access to a file written by RecordWriter, or to the original program's float32 file.

    Attributes:
      legacy: the file is the original program's.
    """

    def __init__(self, path: str | os.PathLike, image_size: int | None = None):
        """Args:
          path: the file.
          image_size: side of the RGBA images [px]; required for the original's headerless file. Ours is checked, or,
            without a size, may hold records of any shape.

        Raises:
          UserError: the file is missing, truncated or of another kind, version or image size.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: must be a record file, got none (python create_bin.py makes it)")
        size = self.path.stat().st_size
        with _open_file_allowed(self.path), open(self.path, "rb") as stream:
            preamble = stream.read(PREAMBLE.size)
            self.legacy = not preamble.startswith(MAGIC)
            if self.legacy:
                self._open_legacy(size, image_size, preamble)
            else:
                self._open(stream, size, image_size, preamble)

    def _open(self, stream, size: int, image_size: int | None, preamble: bytes) -> None:
        if len(preamble) < PREAMBLE.size:
            raise UserError(
                f"{self.path}: must be longer than its preamble, got {size} bytes (truncated; make it again)"
            )
        _, version, header_length, header_crc = PREAMBLE.unpack(preamble)
        if version != VERSION:
            raise UserError(
                f"{self.path}: record format must be {VERSION}, got {version} (made by another release; make it again)"
            )
        # The length comes from the file and may be arbitrarily large; reading would allocate it first.
        text = stream.read(min(header_length, size))
        if len(text) != header_length or zlib.crc32(text) != header_crc:
            raise UserError(f"{self.path}: header must match its checksum, got damage (make it again)")
        header = checked_header(text, PREAMBLE.size, self.path)
        if size != header["file_size"]:
            raise UserError(
                f"{self.path}: must be {header['file_size']:,} bytes, got {size:,} "
                f"({'truncated' if size < header['file_size'] else 'something was appended'}; make it again)"
            )
        self.shape = tuple(header["shape"])
        count = header["count"]
        wanted = header["offset"] + count * math.prod(self.shape) + header["index_length"]
        if wanted != size or header["index_length"] < 4 * count:
            raise UserError(f"{self.path}: {count} records of {list(self.shape)} must fill it, got {size:,} bytes")
        if any(stream.read(header["offset"] - stream.tell())):
            raise UserError(f"{self.path}: zeros must follow the header, got damage (make it again)")
        self.metadata = header["metadata"]
        if image_size is not None and self.shape != (image_size, image_size, 4):
            is_rgba = len(self.shape) == 3 and self.shape[2] == 4
            got = f"{self.shape[1]} x {self.shape[0]}" if is_rgba else f"records of {list(self.shape)}, not RGBA images"
            raise UserError(
                f"{self.path}: images must be {image_size} px, got {got} (pack them again with this --img_size, or use "
                "theirs)"
            )
        stream.seek(size - header["index_length"])
        index = stream.read(header["index_length"])
        if zlib.crc32(index) != header["index_crc32"]:
            raise UserError(f"{self.path}: index must match its checksum, got damage (make it again)")
        self.checksums = np.frombuffer(index, "<u4", count)
        self.names = checked_names(index[4 * count :], count, self.path)
        self._records = self._map(np.uint8, header["offset"], count)

    def _open_legacy(self, size: int, image_size: int | None, start: bytes) -> None:
        if image_size is None:
            raise UserError(
                f"{self.path}: must begin with {MAGIC!r}, got {start[:8]!r} (not a record file; "
                "for the original's headerless float32 file give its image size)"
            )
        self.shape, self.metadata = (image_size, image_size, 4), {}
        record = math.prod(self.shape) * 4
        if size == 0 or size % record:
            raise UserError(
                f"{self.path}: must begin with {MAGIC!r} or be whole float32 records of {image_size} x "
                f"{image_size} x 4, got {start[:8]!r} and {size:,} bytes (truncated, foreign or of another size)"
            )
        count = size // record
        self.names = [f"{i:06d}" for i in range(count)]
        self.checksums = np.empty(0, "<u4")
        self._records = self._map("<f4", 0, count)
        if not self.intact(0):
            raise UserError(
                f"{self.path}: must begin with {MAGIC!r} or be float32 RGB in [-1, 1] with alpha in [0, 1], "
                f"got {start[:8]!r} and other values (a foreign file, or another image size)"
            )

    def _map(self, dtype: Any, offset: int, count: int) -> np.ndarray:
        if not count:
            return np.empty((0, *self.shape), dtype)
        return np.memmap(self.path, dtype, mode="r", offset=offset, shape=(count, *self.shape))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of names and contents; only a sample of the original's huge file, which has no index."""
        if not self.legacy:
            return fingerprint_of(self.names, self.shape, self.checksums.tobytes())
        sample = np.linspace(0, len(self) - 1, 64).astype(int)
        return fingerprint_of(self.names, self.shape, b"".join(self._records[index].tobytes() for index in sample))

    def __getitem__(self, index: int) -> np.ndarray:
        """Record `index` as a new uint8 array of `shape`.

        Raises:
          UserError: the record does not match its checksum.
        """
        index = self._position(index)
        if self.legacy:
            return self._from_float(self._records[index])
        record = np.array(self._records[index])
        if zlib.crc32(record.data) != self.checksums[index]:
            raise UserError(
                f"{self.path}: record {index} ('{self.names[index]}') must match its checksum, got damage "
                "(make the file again)"
            )
        return record

    def intact(self, index: int) -> bool:
        """True if a record matches its checksum (in the original's file: if its values are in range)."""
        record = self._records[index]
        if self.legacy:
            rgb, alpha = record[..., :3], record[..., 3]
            # The comparisons are also false for NaN.
            return bool((np.abs(rgb) <= 1.001).all() and ((alpha >= -0.001) & (alpha <= 1.001)).all())
        return zlib.crc32(np.ascontiguousarray(record).data) == self.checksums[index]

    @staticmethod
    def _from_float(record: np.ndarray) -> np.ndarray:
        scaled = np.concatenate([(record[..., :3] + 1.0) * 127.5, record[..., 3:] * 255.0], axis=-1)
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


@contextlib.contextmanager
def _open_file_allowed(path: Path) -> Iterator[None]:
    """Context manager for opening a file; raises UserError if too many are open, as of an index of many parts."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise UserError(
            f"{path}: must be open together with all other parts, got: {error.strerror} (raise the limit, ulimit -n, "
            "or pack fewer parts)"
        ) from error


def fingerprint_of(names: Sequence[str], shape: Sequence[int], contents: bytes) -> str:
    """Fingerprint of records, given their names, shape and checksums."""
    digest = hashlib.sha256(json.dumps([names, shape]).encode())
    digest.update(contents)
    return digest.hexdigest()[:16]
