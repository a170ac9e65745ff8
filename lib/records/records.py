"""Interface of packed crops, in one file or in several."""

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import UserError


class Records(ABC):
    """Images of equal size with names and random access.

    Attributes:
      path: the file that was opened.
      shape: shape of a record.
      names: one per record.
      metadata: as passed to the writer; empty for the original's file.
      checksums: CRC-32 of each record, uint32; empty for the original's file.
    """

    path: Path
    shape: tuple[int, ...]
    names: list[str]
    metadata: dict[str, Any]
    checksums: np.ndarray

    @abstractmethod
    def __getitem__(self, index: int) -> np.ndarray:
        """Record `index` as a new uint8 array of `shape`; negative indices count from the end.

        Raises:
          UserError: the record does not match its checksum.
        """

    @functools.cached_property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest of names and contents."""

    @abstractmethod
    def intact(self, index: int) -> bool:
        """True if a record matches its checksum."""

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: Iterable[int]) -> np.ndarray:
        """Several records, [B, *shape] uint8, in the order of `indices`."""
        return np.stack([self[int(i)] for i in indices])

    def indices(self, names: Iterable[str]) -> list[int]:
        """Indices of the named records, in the order of `names`.

        Raises:
          UserError: a name is not among them.
        """
        places = {name: i for i, name in enumerate(self.names)}
        names = list(names)
        if missing := [name for name in names if name not in places]:
            raise UserError(
                f"{self.path}: must hold every name of the split, got none of '{missing[0]}' "
                f"({len(missing)} missing; python create_bin.py writes both)"
            )
        return [places[name] for name in names]

    def repeats(self) -> dict[str, str]:
        """Names of the records whose content is that of an earlier one -> the name of the first of these.

        Raises:
          UserError: a record that may be a repeat is damaged.
        """
        same = np.unique(self.checksums, return_inverse=True, return_counts=True)
        candidates = np.flatnonzero(same[2][same[1]] > 1)  # different contents can have one checksum
        first: dict[tuple[int, bytes], str] = {}
        found = {}
        for index in candidates.tolist():
            key = int(self.checksums[index]), hashlib.sha256(self[index].tobytes()).digest()
            if (name := first.setdefault(key, self.names[index])) != self.names[index]:
                found[self.names[index]] = name
        return found

    def verify(self, progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> list[int]:
        """Re-reads all records; returns the indices of damaged ones (in the original's file: values out of range).

        Args:
          progress: wrapper of the loop, e.g. tqdm.
        """
        return [i for i in progress(range(len(self))) if not self.intact(i)]

    def _position(self, index: int) -> int:
        """`index` counted from the start; raises IndexError if it is out of range."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be in [0, {len(self)}), got {index}")
        return index % len(self)
