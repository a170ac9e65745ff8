"""Index of several record files that are read as one: a JSON file that names them with their fingerprints.

    {"format": "record-index-1", "shards": [{"file": "00000-of-00002.bin", "count": 3, "fingerprint": "9f..."}, ...]}

Files lie in the index's folder or below it, which may be any mounted store. Records keep the files' order, so an index
and the file merged from the same shards have one fingerprint, and share splits, caches and checkpoints.
"""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import name_fault
from lib.files.json_files import json_text
from lib.records.record_file import RecordReader, fingerprint_of
from lib.records.records import Records
from lib.runtime.resources import allow_open_files

FORMAT = "record-index-1"
SUFFIX = ".json"


def open_records(path: str | os.PathLike, image_size: int | None = None) -> Records:
    """Opens a record file, or an index (`.json`) of several; arguments and errors as for `RecordReader`."""
    return IndexedRecords(path, image_size) if Path(path).suffix == SUFFIX else RecordReader(path, image_size)


class IndexedRecords(Records):
    """Random access across the record files that an index names."""

    def __init__(self, path: str | os.PathLike, image_size: int | None = None):
        """Args:
          path: the index.
          image_size: side of the images [px]; None accepts any.

        Raises:
          UserError: the index is damaged, or one of its files is missing, damaged or not the one that was indexed.
        """
        allow_open_files()
        self.path = Path(path)
        self._files = []
        for name, count, fingerprint in _entries(self.path):
            try:
                reader = _open(self.path.parent / name, image_size)
            except UserError as error:  # perhaps the index is at fault
                raise UserError(f"{error}; {self.path.name} names this file") from None
            if (len(reader), reader.fingerprint) != (count, fingerprint):
                raise UserError(
                    f"{reader.path}: must be the file that {self.path.name} names, {count} records {fingerprint}, got "
                    f"{len(reader)} records {reader.fingerprint} (python create_bin.py --index makes the index again)"
                )
            self._files.append(reader)
        self.shape, self.metadata = self._files[0].shape, self._files[0].metadata
        if other := next((reader for reader in self._files if reader.shape != self.shape), None):
            raise UserError(
                f"{other.path}: records must be {list(self.shape)} as in the first file of {self.path.name}, got "
                f"{list(other.shape)}"
            )
        self.names = [name for reader in self._files for name in reader.names]
        if len(set(self.names)) != len(self.names):
            raise UserError(f"{self.path}: names must be unique across its files, got some twice")
        self.checksums = np.concatenate([reader.checksums for reader in self._files])
        self._ends = np.cumsum([len(reader) for reader in self._files])

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of names and contents, equal to that of one file with the same records."""
        return fingerprint_of(self.names, self.shape, self.checksums.tobytes())

    def __getitem__(self, index: int) -> np.ndarray:
        """Record `index` as a new uint8 array of `shape`; raises UserError if it does not match its checksum."""
        reader, row = self._place(self._position(index))
        return reader[row]

    def intact(self, index: int) -> bool:
        """True if a record matches its checksum."""
        reader, row = self._place(self._position(index))
        return reader.intact(row)

    def _place(self, index: int) -> tuple[RecordReader, int]:
        """File and row of a record."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._files[number], index - int(self._ends[number - 1] if number else 0)


def write_index(path: Path, files: Sequence[Path]) -> Records:
    """Writes the index of record files in its folder or below, which are opened and checked; returns their records.

    An earlier index stays as it is if the files cannot be read as one.

    Files without records, such as a shard without good images, are left out.
    """
    entries = [
        {"file": r.path.relative_to(path.parent).as_posix(), "count": len(r), "fingerprint": r.fingerprint}
        for r in map(_open, files)
        if len(r)
    ]
    if not entries:
        raise UserError(f"{path}: at least one of the files must hold records, got none in {len(files)}")
    # The suffix of the temporary file is that of an index, and its folder the same.
    with atomic_path(path) as temporary:
        # Into this very file, instead of replacing it: its lock tells other processes that it is no leftover.
        content = json_text({"format": FORMAT, "shards": entries}, indent=1)
        temporary.write_text(f"{content}\n", encoding="utf-8")
        IndexedRecords(temporary)
    return IndexedRecords(path)


def _open(path: Path, image_size: int | None = None) -> RecordReader:
    reader = RecordReader(path, image_size)
    if reader.legacy:
        raise UserError(f"{path}: must be this program's record file to be indexed, got the original program's")
    return reader


def _entries(path: Path) -> list[tuple[str, int, str]]:
    """File, count and fingerprint of every entry of an index."""
    if not path.is_file():
        raise UserError(f"{path}: must be an index of record files, got none (python create_bin.py --index makes it)")
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        entries = [(entry["file"], entry["count"], entry["fingerprint"]) for entry in content["shards"]]
        if not entries:
            raise ValueError("an empty list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: must be an index in the form {FORMAT}, got another file or damage ({error}; python create_bin.py "
            "--index makes it again)"
        ) from None
    if fault := next(filter(None, (name_fault(name) for name, *_ in entries)), None):
        raise UserError(f"{path}: {fault} (a forged file)")
    return entries
