"""Named arrays and a JSON header in one .npz without pickle; checksums detect swapped and altered arrays."""

import json
import os
import zlib
from collections.abc import Mapping

import numpy as np

from lib.files.json_files import json_text
from lib.files.numpy_files import DamagedFile, read_npz, write_npz

_HEADER = "header"
_CHECKSUMS = "checksums"


def write(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], header: Mapping, compress: bool = False) -> None:
    """Writes the file atomically; when it returns, the file also survives a power failure.

    Args:
      path: the .npz to create or replace.
      arrays: name -> array; the name "header" is reserved.
      header: JSON-serialisable values (NaN becomes null); the key "checksums" is reserved.
      compress: whether to compress the arrays.

    Raises:
      DiskFull: the earlier file, if any, is unchanged.
    """
    checksums = {name: _checksum(name, array) for name, array in arrays.items()}
    text = json_text({**header, _CHECKSUMS: checksums})
    # Checkpoints and weights are worth a wait until the disk has them.
    write_npz(path, {**arrays, _HEADER: np.frombuffer(text.encode(), np.uint8)}, compress, durable=True)


def read(path: str | os.PathLike) -> tuple[dict, dict[str, np.ndarray]]:
    """Reads the header and the arrays of a file written by `write`.

    Raises:
      DamagedFile: the file was not written by `write`, or an array is missing, renamed or changed.
      OSError: the file cannot be read.
    """
    arrays = read_npz(path)
    header, checksums = _split_header(arrays)
    if missing := sorted(checksums.keys() ^ arrays.keys()):
        raise DamagedFile(f"array {missing[0]!r} is missing or not in the header")
    _check(arrays, checksums)
    return header, arrays


def read_group(path: str | os.PathLike, prefix: str) -> dict[str, np.ndarray]:
    """Reads the arrays whose names begin with `prefix`; raises the errors of `read` as far as they concern these."""
    _, checksums = _split_header(read_npz(path, (_HEADER,)))
    arrays = read_npz(path, [name for name in checksums if name.startswith(prefix)])
    _check(arrays, checksums)
    return arrays


def read_header(path: str | os.PathLike) -> dict:
    """Reads the header alone; raises the errors of `read` as far as they concern it."""
    return _split_header(read_npz(path, (_HEADER,)))[0]


def _split_header(arrays: dict[str, np.ndarray]) -> tuple[dict, dict]:
    """Takes the header out of the arrays of a file: the caller's values, and the checksums of the arrays."""
    try:
        header = json.loads(arrays.pop(_HEADER).tobytes())
        return header, dict(header.pop(_CHECKSUMS))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFile(f"no header of this program ({error})") from error


def _check(arrays: Mapping[str, np.ndarray], checksums: Mapping[str, int]) -> None:
    for name, array in arrays.items():
        if checksums[name] != _checksum(name, array):
            raise DamagedFile(f"array {name!r} is not the one that was written under this name")


def _checksum(name: str, array: np.ndarray) -> int:
    """CRC-32 of name, type, shape and bytes, so that swapped arrays are detected."""
    array = np.ascontiguousarray(array)
    description = f"{name} {array.dtype.str} {array.shape}".encode()
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, zlib.crc32(description))
