"""NumPy files, written atomically and read safely from untrusted sources: no pickle, memory bounded by the file's size.

NumPy allocates the size declared in a file before it reads the data, and a compressed archive can declare a thousand
times its own size. Therefore all declared sizes are checked against the file before anything is unpacked.
"""

import contextlib
import math
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from lib.errors import one_line
from lib.files.atomic import atomic_path

# A compressed archive may unpack to this many times its size. Index arrays of sparse matrices reach a dozen.
MAX_RATIO = 100
SMALL = 64 * 2**20  # bytes that any archive may unpack to: constant arrays compress a thousandfold
MAX_UNPACKED = 4 * 2**30  # bytes that no compressed archive may exceed unpacked; stored ones are bounded by their size
_CHUNK = 2**20  # bytes read at a time
_LOCAL_HEADER, _LOCAL_LENGTHS = 30, 26  # bytes of a zip member's own header, and before its two lengths
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class DamagedFile(ValueError):
    """The file cannot be read; the message is one line without the file's name."""


def write_npz(
    path: str | os.PathLike, arrays: Mapping[str, ArrayLike], compress: bool = False, durable: bool = False
) -> None:
    """Writes or replaces an .npz that `read_npz` reads.

    Args:
      path: the file.
      arrays: name -> array.
      compress: whether to compress the arrays.
      durable: see `atomic_path`.

    Raises:
      ValueError: an array holds Python objects, which would require pickle.
      DiskFull: the earlier file, if any, is unchanged.
    """
    store = np.savez_compressed if compress else np.savez
    with atomic_path(path, durable) as temporary, open(temporary, "wb") as stream:
        store(stream, allow_pickle=False, **arrays)


def read_npz(path: str | os.PathLike, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz.

    Args:
      path: the file.
      names: of the arrays to read; None for all.

    Raises:
      DamagedFile: not an .npz, pickled objects, a missing array, or a declared size that the file cannot hold.
      OSError: the file cannot be read.
    """
    with _damage_named("a damaged archive"), zipfile.ZipFile(path) as archive:
        _check_sizes(archive.infolist(), os.path.getsize(path))
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        wanted = list(members if names is None else names)
        if missing := [name for name in wanted if name not in members]:
            raise DamagedFile(f"no array '{missing[0]}'")
        return {name: _read_member(archive, members[name]) for name in wanted}


def check_npz(path: str | os.PathLike, names: Iterable[str]) -> None:
    """Reads arrays of an .npz without keeping them; raises the errors of `read_npz`."""
    with _damage_named("a damaged archive"), zipfile.ZipFile(path) as archive:
        _check_sizes(archive.infolist(), os.path.getsize(path))
        for name in names:
            if f"{name}.npy" not in archive.namelist():
                raise DamagedFile(f"no array '{name}'")
            member = archive.getinfo(f"{name}.npy")
            with archive.open(member) as stream:
                _check_array(stream, member.file_size, member.filename)
                while stream.read(_CHUNK):  # at the end, zipfile compares the checksum
                    pass


@dataclass(frozen=True)
class StoredArray:
    """An array of an uncompressed .npz, whose rows can be read without the others.

    Attributes:
      path: the .npz.
      offset: bytes of the file before the array's numbers.
      shape, dtype: the array's.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """A copy of the rows `indices`; the file is open only meanwhile.

        Raises:
          OSError, ValueError: the file has been deleted or cut since.
        """
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[indices]


def stored_arrays(path: str | os.PathLike, names: Iterable[str]) -> dict[str, StoredArray]:
    """Where the arrays `names` lie in an uncompressed .npz that `read_npz` has found whole.

    Raises:
      DamagedFile: an array is compressed, or its first index varies fastest.
      OSError: the file cannot be read.
    """
    found = {}
    with _damage_named("a damaged archive"), zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for name in names:
            member = archive.getinfo(f"{name}.npy")
            with archive.open(member) as stream:
                shape, fortran_order, dtype = _check_array(stream, member.file_size, member.filename)
                header = stream.tell()
            if member.compress_type != zipfile.ZIP_STORED or fortran_order:
                raise DamagedFile(f"{member.filename!r} must be stored row after row, uncompressed")
            file.seek(member.header_offset + _LOCAL_LENGTHS)
            lengths = [int.from_bytes(file.read(2), "little") for _ in ("name", "extra field")]
            offset = member.header_offset + _LOCAL_HEADER + sum(lengths) + header
            found[name] = StoredArray(Path(path), offset, shape, dtype)
    return found


def array_names(path: str | os.PathLike) -> set[str]:
    """Names of the arrays in an .npz; none if the file is no whole archive.

    Raises:
      OSError: the file cannot be read.
    """
    try:
        with _damage_named("a damaged archive"), zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except DamagedFile:
        return set()


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Reads an array; `np.load` would read each header once more, and take twice the time for small arrays."""
    with archive.open(member) as stream:
        shape, fortran_order, dtype = _check_array(stream, member.file_size, member.filename)
        array = np.empty(math.prod(shape), dtype)
        if array.nbytes:
            rest = array.view(np.uint8)
            while len(rest) and (part := stream.read(min(len(rest), _CHUNK))):
                rest[: len(part)] = np.frombuffer(part, np.uint8)
                rest = rest[len(part) :]
            if len(rest):
                raise DamagedFile(f"{member.filename!r} ends {len(rest):,} bytes early")
        stream.read(1)  # at its end, zipfile compares the checksum
    return array.reshape(shape[::-1]).transpose() if fortran_order else array.reshape(shape)


def report_remade(path: str | os.PathLike, reason: object) -> None:
    """Prints that a file of this program was damaged and is made again, in one line on stderr."""
    text = one_line(reason).removeprefix(f"{path}: ")
    print(f"{path}: damaged, made again ({text})", file=sys.stderr)


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """Reads the array of an .npy.

    Raises:
      DamagedFile: not an .npy, pickled objects, or a declared size that differs from the actual one.
      OSError: the file cannot be read.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        _check_array(stream, path.stat().st_size, path.name)
        stream.seek(0)
        with _damage_named("a damaged array"):
            return np.lib.format.read_array(stream, allow_pickle=False)


@contextlib.contextmanager
def _damage_named(what: str) -> Iterator[None]:
    """Turns whatever a parser raises for damaged bytes into DamagedFile.

    The exceptions of zipfile and of NumPy's header parser follow no list: a flipped bit can give a negative offset
    (OSError, "Invalid argument"), an unknown compression method, a Python token that does not end, or a struct that is
    too short. Errors of the file system itself, which name the file, pass.
    """
    try:
        yield
    except (DamagedFile, MemoryError):
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise DamagedFile(f"{what}: {one_line(error, 200)}") from error
    except Exception as error:
        raise DamagedFile(f"{what}: {one_line(error, 200)}") from error


def check_unpacked(unpacked: int, size: int) -> None:
    """Raises DamagedFile if a compressed file of `size` bytes declares too large an unpacked size."""
    limit = min(max(SMALL, MAX_RATIO * size), MAX_UNPACKED)
    if unpacked > limit:
        raise DamagedFile(f"its {size:,} bytes declare {unpacked:,}, more than the {limit:,} they may unpack to")


def _check_sizes(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise DamagedFile("two arrays of one name")
    for member in members:
        if member.compress_type not in _METHODS or not member.filename.endswith(".npy"):
            raise DamagedFile(f"no archive of arrays: it holds {member.filename!r}")
        # Overlapping entries let small zip bombs unpack to petabytes.
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise DamagedFile(f"{member.filename!r} has two sizes")
    if sum(member.compress_size for member in members) > size:
        raise DamagedFile("its parts overlap")
    check_unpacked(sum(m.file_size for m in members if m.compress_type == zipfile.ZIP_DEFLATED), size)


def _check_array(stream: IO[bytes], size: int, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads the header of an .npy and compares the declared size with the file's.

    Returns:
      Shape, whether the first index varies fastest, and type of the array.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # NumPy parses the header as Python source, see `_damage_named`
        raise DamagedFile(f"{name!r} must be a NumPy array, got something else ({one_line(error, 200)})") from error
    if dtype.hasobject:
        raise DamagedFile(f"{name!r} holds pickled Python objects, which can run code and are not read")
    if min(shape, default=0) < 0 or (dtype.itemsize == 0 and 0 not in shape):
        # NumPy enlarges texts without characters to one: no bytes in the file, any number of them in memory.
        raise DamagedFile(f"{name!r} declares the shape {shape} of {dtype.itemsize} bytes each")
    announced, found = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if announced != found:
        raise DamagedFile(f"{name!r} declares {announced:,} bytes of numbers and has {found:,}")
    return shape, fortran_order, dtype
