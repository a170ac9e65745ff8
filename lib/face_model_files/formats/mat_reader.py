"""Reader for the numeric arrays of MATLAB 5 files that checks every size before it reads.

SciPy's reader, written in C, trusts the file: a truncated array can end the process. The format is that of MathWorks'
"MAT-File Format", version 5 (also written by MATLAB 6 and 7). A file is a header of 128 bytes and elements; an element
is a tag (type and number of bytes), its data, and padding to 8 bytes. A matrix element holds elements itself: flags
with the class, dimensions, name and numbers. Compressed elements (zlib) hold one matrix.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lib.files.numpy_files import DamagedFile, check_unpacked

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32, _UTF8 = 1, 5, 6, 16
# Types of stored numbers; MATLAB stores whole doubles in fewer bytes.
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_NUMERIC_CLASSES = range(6, 16)  # double, single and the integers
_PROGRAMS = {3: "object", 16: "function", 17: "opaque"}
_COMPLEX = 0x0800
_MAX_DIMENSIONS = 32
_MAX_NAME = 63  # MATLAB's longest


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads all arrays of real numbers in a file; cells, structures, texts and sparse arrays are skipped.

    Args:
      path: the file.

    Returns:
      Name -> array, in the type in which the file stores the numbers; and "'name' (class)" of every variable that can
      hold code: function handles and objects, which are not read.

    Raises:
      DamagedFile: not a MATLAB 5 file, or a size in it is wrong.
      OSError: the file cannot be opened.
    """
    size = path.stat().st_size
    if size < _HEADER:
        raise DamagedFile(f"a file of {size} bytes, shorter than a header")
    arrays: dict[str, np.ndarray] = {}
    programs: list[str] = []
    data = np.memmap(path, np.uint8, "r").data
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]))
    if order is None or struct.unpack_from(f"{order}H", data, 124)[0] != 0x0100:
        later = bytes(data[:10]) == b"MATLAB 7.3"
        raise DamagedFile(f"a file of {'version 7.3 (save it with -v7)' if later else 'another kind'}")
    inflated = 0
    for kind, part in _elements(data[_HEADER:], order):
        matrix = part
        if kind == _COMPRESSED:
            matrix = _inflated(part, order, size, inflated)
            inflated += len(matrix)
        if kind in (_MATRIX, _COMPRESSED) and len(matrix):
            _read_matrix(matrix, order, arrays, programs)
    return arrays, programs


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and data of the elements in `data`."""
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise DamagedFile(f"{len(data) - place} bytes in place of an element")
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # a small element: type and size share four bytes, and up to four bytes of data follow
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise DamagedFile(f"a small element of {size} bytes")
            place += 8
        else:
            place = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise DamagedFile(f"an element of {size:,} bytes where {len(data) - start:,} are left (truncated?)")
        yield kind, data[start : start + size]


def _inflated(part: memoryview, order: str, file_size: int, before: int) -> memoryview:
    """The matrix in a compressed element; those before it took `before` bytes."""
    inflate = zlib.decompressobj()
    try:
        tag = inflate.decompress(part, 8)
        if len(tag) < 8:
            raise DamagedFile("a compressed element without contents")
        kind, size = struct.unpack(f"{order}II", tag)
        if kind != _MATRIX:
            raise DamagedFile(f"a compressed element of type {kind}")
        check_unpacked(before + size, file_size)
        content = inflate.decompress(inflate.unconsumed_tail, size) if size else b""
        inflate.decompress(inflate.unconsumed_tail, 1)  # so that the checksum at the end is read and compared
    except zlib.error as error:
        raise DamagedFile(f"a compressed element that is damaged ({error})") from error
    if len(content) != size or not inflate.eof:
        raise DamagedFile(f"a compressed element of {len(content):,} bytes that declares {size:,}")
    return memoryview(content)


def _read_matrix(data: memoryview, order: str, arrays: dict[str, np.ndarray], programs: list[str]) -> None:
    parts = _elements(data, order)
    flags = _numbers(parts, order, (_UINT32,), 8, "flags")
    kind = int(flags[0]) & 0xFF
    if kind == 17:  # opaque objects have no dimensions
        programs.append("an object (opaque)")
        return
    shape = tuple(int(n) for n in _numbers(parts, order, (_INT32,), None, "dimensions"))
    if not 2 <= len(shape) <= _MAX_DIMENSIONS or min(shape) < 0:
        raise DamagedFile(f"an array of shape {list(shape)}")
    name = _numbers(parts, order, (_INT8, _UTF8), None, "a name").tobytes().decode("latin-1")
    if len(name) > _MAX_NAME or not name.isprintable():
        raise DamagedFile("a name that MATLAB could not have written")
    if kind in _PROGRAMS:
        programs.append(f"'{name}' ({_PROGRAMS[kind]})")
    if kind not in _NUMERIC_CLASSES or int(flags[0]) & _COMPLEX:
        return
    values = _numbers(parts, order, tuple(_NUMBERS), None, f"the numbers of '{name}'")
    if values.size != math.prod(shape):
        raise DamagedFile(f"'{name}' {list(shape)} with {values.size:,} numbers")
    if name in arrays:
        raise DamagedFile(f"two arrays '{name}'")
    arrays[name] = values.reshape(shape, order="F")


def _numbers(
    parts: Iterator[tuple[int, memoryview]], order: str, kinds: tuple[int, ...], size: int | None, what: str
) -> np.ndarray:
    """A copy of the numbers in the next element, which must have one of the types `kinds` and, if given, this size."""
    kind, data = next(parts, (0, memoryview(b"")))
    if kind not in kinds or (size is not None and len(data) != size):
        raise DamagedFile(f"{what} expected, got an element of type {kind} with {len(data)} bytes")
    dtype = np.dtype(f"{order}{_NUMBERS.get(kind, 'i1')}")
    if len(data) % dtype.itemsize:
        raise DamagedFile(f"{what} of {len(data)} bytes, not a multiple of {dtype.itemsize}")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=True)
