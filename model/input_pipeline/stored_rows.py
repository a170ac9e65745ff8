"""Rows of large arrays that stay in the files of a cache: memory does not grow with their number."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lib.errors import UserError
from lib.files.numpy_files import StoredArray


class StoredRows:
    """Array [S, N] float32 in parts of equal length; indexing reads the rows, and NumPy's functions take it as a whole.

    Args:
      count: S.
      part_size: rows of a part; the last part may be shorter.
      parts: first row of a part -> its rows, in a file or in memory. Rows of missing parts are NaN.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, count: int, part_size: int, parts: Mapping[int, StoredArray | np.ndarray]):
        self._part_size, self._parts = part_size, parts
        self.shape = (count, next(iter(parts.values())).shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """A copy of rows, selected as those of an array by its first index.

        Raises:
          IndexError: there is no such row.
          UserError: a file has been deleted or cut since the rows were stored.
        """
        rows = self._numbers(key)
        wanted = np.atleast_1d(rows)
        found = np.full([len(wanted), self.shape[1]], np.nan, self.dtype)
        starts = wanted - wanted % self._part_size
        for start in np.unique(starts).tolist():
            if (part := self._parts.get(start)) is not None:
                of_part = starts == start
                found[of_part] = _rows(part, wanted[of_part] - start)
        return found if np.ndim(rows) else found[0]

    def _numbers(self, key: Any) -> np.ndarray:
        """Numbers of the rows that a key selects; those of all rows are not listed for a few of them."""
        if isinstance(key, slice):
            return np.arange(*key.indices(len(self)))
        rows = np.asarray(key)
        if not np.issubdtype(rows.dtype, np.integer):  # a mask, for example
            return np.arange(len(self))[key]
        if outside := rows[(rows < -len(self)) | (rows >= len(self))].ravel().tolist():
            raise IndexError(f"rows must be {-len(self)} to {len(self) - 1}, got {outside[0]}")
        return np.where(rows < 0, rows + len(self), rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def _rows(part: StoredArray | np.ndarray, indices: np.ndarray) -> np.ndarray:
    if isinstance(part, np.ndarray):
        return part[indices]
    try:
        return part.rows(indices)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{part.path}: must stay as long as its crops are in use, got {error} (the same command makes it again)"
        ) from error
