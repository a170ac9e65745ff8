"""MATLAB files with checked arrays, so that a wrong file is reported before it is used."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model_files.formats.mat_reader import read_arrays
from lib.files.numpy_files import DamagedFile


class MatFile:
    """One MATLAB 5 file.

    Args:
      path: the file.

    Raises:
      UserError: the file is missing or is not a MATLAB 5 file.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: must be a MATLAB file, got no such file")
        try:
            self._arrays, programs = read_arrays(self.path)
        except (DamagedFile, OSError) as error:
            raise UserError(f"{self.path}: must be a MATLAB 5 file, got one that cannot be read ({error})") from None
        if programs:
            raise UserError(f"{self.path}: must hold arrays of numbers, got {', '.join(programs)}, which can run code")

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def numbers(self, name: str, size: int | None = None) -> np.ndarray:
        """An array as a flat vector (MATLAB stores vectors as one row or one column).

        Raises:
          UserError: the array is missing, not numeric, not finite or not of this size.
        """
        values = self._get(name).ravel()
        if size is not None and values.size != size:
            raise UserError(f"{self.path}: '{name}' must have {size} values, got {values.size}")
        return values

    def matrix(self, name: str, rows: int | None = None, columns: int | None = None) -> np.ndarray:
        """The first `columns` columns of a two-dimensional array.

        Raises:
          UserError: as for `numbers`.
        """
        values = self._get(name)
        fits = values.ndim == 2 and rows in (None, values.shape[0]) and (columns or 0) <= values.shape[-1]
        if not fits:
            wanted = f"{'any number of' if rows is None else rows} rows and at least {columns or 1} columns"
            raise UserError(f"{self.path}: '{name}' must have {wanted}, got {list(values.shape)}")
        return values if columns is None else values[:, :columns]

    def indices(self, name: str, count: int, size: int | None = None) -> np.ndarray:
        """An array of indices from 1 to `count` as 0-based indices; keeps its shape, but flattens vectors.

        Raises:
          UserError: as for `numbers`, or a value is not a whole number from 1 to `count`.
        """
        values = self._get(name)
        values = values.ravel() if 1 in values.shape else values
        if size is not None and values.size != size:
            raise UserError(f"{self.path}: '{name}' must have {size} values, got {values.size}")
        numbers = values.astype(np.float64)
        if (numbers != np.rint(numbers)).any() or numbers.min() < 1 or numbers.max() > count:
            got = f"{numbers.min():g}..{numbers.max():g}"
            raise UserError(f"{self.path}: '{name}' must hold whole numbers from 1 to {count}, got {got}")
        return numbers.astype(np.int64) - 1

    def _get(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            found = ", ".join(self._arrays) or "none"
            raise UserError(f"{self.path}: must hold an array '{name}', got {found}")
        values = self._arrays[name]
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb" or not values.size:
            raise UserError(f"{self.path}: '{name}' must be a numeric array, got {type(values).__name__}")
        if not np.isfinite(values).all():
            raise UserError(f"{self.path}: '{name}' must be finite, got NaN or infinity")
        return values
