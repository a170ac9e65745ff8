"""Writing of record files; `lib.records.record_file` describes the layout."""

import contextlib
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import fitting
from lib.records.record_file import MAGIC, PREAMBLE, VERSION

_HEADER_ROOM = 1024  # for the header's fields other than the metadata
_PAGE = 4096


class RecordWriter:
    """Context manager that writes records in sequence; the file gets its name only if `with` ends without an exception.

    A killed run leaves an earlier file of that name untouched; the next run removes the temporary file it left.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        shape: Sequence[int],
        metadata: Mapping[str, Any] | None = None,
        follow: bool = False,
    ):
        """Args:
        path: the file to create or replace.
        shape: shape of every record, e.g. (224, 224, 4).
        metadata: any JSON-serialisable values.
        follow: see `lib.files.atomic.atomic_path`.
        """
        self.path = Path(path)
        self.shape = tuple(int(n) for n in shape)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"shape must be positive numbers, got {shape}")
        self._follow = follow
        self._metadata = dict(metadata or {})
        room = PREAMBLE.size + len(json.dumps(self._metadata).encode()) + _HEADER_ROOM
        self._start = -(-room // _PAGE) * _PAGE
        self._checksums: list[int] = []
        self._names: dict[str, None] = {}
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> "RecordWriter":
        _check_replaceable(self.path)
        with contextlib.ExitStack() as opening:
            temporary = opening.enter_context(atomic_path(self.path, durable=True, follow=self._follow))
            self._stream = opening.enter_context(open(temporary, "wb"))
            self._stream.write(bytes(self._start))
            self._resources = opening.pop_all()
        return self

    def append(self, record: np.ndarray, name: str) -> None:
        """Appends a record.

        Args:
          record: uint8 of the writer's shape.
          name: unique within the file.
        """
        if record.shape != self.shape or record.dtype != np.uint8:
            raise ValueError(f"{name}: record must be uint8 {self.shape}, got {record.dtype} {tuple(record.shape)}")
        if name in self._names:
            raise ValueError(f"{self.path}: names must be unique, got '{name}' twice")
        content = np.ascontiguousarray(record).data.cast("B")
        self._stream.write(content)
        self._checksums.append(zlib.crc32(content))
        self._names[name] = None

    def __len__(self) -> int:
        return len(self._names)

    def __exit__(self, *exception: Any) -> bool | None:
        if exception[0] is None:
            try:
                self._finish()
            except BaseException as error:
                # The exception must reach atomic_path, which would otherwise install the unfinished file.
                self._resources.__exit__(type(error), error, error.__traceback__)
                raise
        return self._resources.__exit__(*exception)

    def _finish(self) -> None:
        index = (
            np.asarray(self._checksums, "<u4").tobytes() + json.dumps(list(self._names), ensure_ascii=False).encode()
        )
        self._stream.write(index)
        header = json.dumps(
            {
                "shape": self.shape,
                "dtype": "uint8",
                "count": len(self),
                "offset": self._start,
                "file_size": self._start + len(self) * math.prod(self.shape) + len(index),
                "index_length": len(index),
                "index_crc32": zlib.crc32(index),
                "metadata": self._metadata,
            }
        ).encode()
        self._stream.seek(0)
        self._stream.write(PREAMBLE.pack(MAGIC, VERSION, len(header), zlib.crc32(header)))
        self._stream.write(header)


def manifest_path(path: Path) -> Path:
    """Path of a record file's manifest.

    Files of other suffixes keep theirs, so that face.dat and face.bin do not pass for each other.
    """
    return path.with_name(fitting(path.stem if path.suffix == ".bin" else path.name, ".manifest.json"))


def _check_replaceable(path: Path) -> None:
    """Raises UserError if `path` is a file of another kind; a damaged record file is known by its manifest."""
    if not path.is_file() or path.stat().st_size == 0 or manifest_path(path).is_file():
        return
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise UserError(
                f"{path}: must be a record file to be replaced, got another file (move it, or choose another --output)"
            )
