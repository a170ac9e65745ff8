"""Reader for the tensors in a PyTorch checkpoint (.pth, .pt), without PyTorch and without running code from the file.

The file is a zip (PyTorch 1.6 and later) of a pickle, which describes nested dictionaries of tensors, and the values of
each storage. A pickle is a program, so the unpickler here allows four kinds of names only and replaces each by an inert
description; any other name makes it refuse the file. Descriptions become arrays on request.
"""

import collections
import dataclasses
import functools
import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lib.errors import UserError, one_line

_TYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
_MAX_PICKLE = 64 * 2**20  # bytes of names and shapes; the values are outside the pickle
_MAX_SHARE = 4  # tensors that share storages may take this many times the file's size
# Operations of a pickle that number an object, that give one again, and whose objects have no hash.
_MEMO, _AGAIN = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), ("GET", "BINGET", "LONG_BINGET")
_UNHASHED = (
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS",
)  # fmt: skip
_MAX_DEPTH = 16  # of tuples in tuples and calls; PyTorch's have 3
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # first bytes of files written by PyTorch before 1.6


@dataclasses.dataclass(frozen=True)
class _StorageType:
    """Placeholder for torch.FloatStorage and similar types."""

    name: str


@dataclasses.dataclass(frozen=True)
class _Storage:
    type: Any
    key: Any
    count: Any


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage; the fields come unchecked from the pickle and are checked when the array is made."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class TorchCheckpoint:
    """A PyTorch checkpoint.

    Args:
      path: the file.

    Raises:
      UserError: the file is missing or not a checkpoint, or its pickle names anything but tensors.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: must be a PyTorch checkpoint, got no such file")
        with open(self.path, "rb") as stream:
            if stream.read(len(_LEGACY)) == _LEGACY:
                self._fail("got the format of PyTorch before 1.6 (load and save it with a later one)")
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
                stored = all(
                    entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
                    for entry in archive.infolist()
                )
                pickles = [name for name in self._sizes if name.endswith("/data.pkl") and name.count("/") == 1]
                if not stored or len(pickles) != 1 or self._sizes[pickles[0]] > _MAX_PICKLE:
                    self._fail("got another archive")
                self._root = pickles[0].removesuffix("data.pkl")
                order = f"{self._root}byteorder"
                if order in self._sizes and archive.read(order) != b"little":
                    self._fail("got one of a big-endian machine")
                content = archive.read(pickles[0])
                _check_objects(content)
                self._content = _Unpickler(io.BytesIO(content), self.path).load()
        except UserError:
            raise
        except zipfile.BadZipFile as error:
            self._fail(f"got a file of another kind ({error})")
        # A flipped bit can make zipfile and pickle raise anything, OSError without a file's name among it.
        except Exception as error:
            self._fail(f"got a damaged archive, or a pickle of something else ({one_line(error, 200)})")

    def arrays(self, *keys: str) -> dict[str, np.ndarray]:
        """The tensors in one dictionary of the checkpoint: name -> array.

        Args:
          keys: keys that lead to the dictionary, e.g. "net_recon"; none for the outermost one.

        Raises:
          UserError: there is no such dictionary, a tensor does not fit its storage, or tensors that share storages
            take far more memory than the file.
        """
        found = self._content
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                held = ", ".join(sorted(map(str, found))[:8]) if isinstance(found, dict) else type(found).__name__
                self._fail(f"with '{key}' in it, got {held or 'nothing'}")
            found = found[key]
        if not isinstance(found, dict):
            self._fail(f"with a dictionary of tensors, got {type(found).__name__}")
        tensors = {str(name): value for name, value in found.items() if isinstance(value, _Tensor)}
        try:
            with zipfile.ZipFile(self.path) as archive:
                arrays, room = {}, _MAX_SHARE * self.path.stat().st_size
                read = functools.lru_cache(maxsize=1)(archive.read)  # views of one storage follow each other
                for name, tensor in tensors.items():
                    arrays[name] = array = self._array(read, name, tensor)
                    room -= array.nbytes
                    if room < 0:
                        self._fail(f"got tensors that share storages and take over {_MAX_SHARE} times the file's size")
                return arrays
        except UserError:
            raise
        except Exception as error:
            self._fail(f"got a damaged one ({one_line(error, 200)})")

    def _array(self, read: Callable[[str], bytes], name: str, tensor: _Tensor) -> np.ndarray:
        storage, numbers = tensor.storage, (tensor.offset,)
        if isinstance(tensor.shape, tuple) and isinstance(tensor.strides, tuple):
            numbers += tensor.shape + tensor.strides
        if (
            not isinstance(storage, _Storage)
            or not isinstance(storage.type, _StorageType)
            or storage.type.name not in _TYPES
            or len(numbers) != 1 + 2 * len(tensor.shape)
            or not all(type(number) is int and number >= 0 for number in (*numbers, storage.count))
        ):
            self._fail(f"got no description of a tensor as '{name}'")
        dtype, member = np.dtype(_TYPES[storage.type.name]), f"{self._root}data/{storage.key}"
        if self._sizes.get(member) != storage.count * dtype.itemsize:
            self._fail(f"got a storage of {self._sizes.get(member, 0):,} bytes for the {storage.count:,} of '{name}'")
        count = math.prod(tensor.shape)
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
        if count and (last >= storage.count or count > storage.count):
            self._fail(f"got '{name}' {list(tensor.shape)} beyond its storage of {storage.count:,} numbers")
        if not count:
            return np.zeros(tensor.shape, dtype)
        content = read(member)
        if len(content) != storage.count * dtype.itemsize:  # the archive's directory may be wrong
            self._fail(f"got a storage of {len(content):,} bytes for the {storage.count:,} of '{name}'")
        values = np.frombuffer(content, dtype)[tensor.offset :]
        steps = [step * dtype.itemsize for step in tensor.strides]
        return np.lib.stride_tricks.as_strided(values, tensor.shape, steps).copy()

    def _fail(self, got: str) -> NoReturn:
        raise UserError(f"{self.path}: must be a checkpoint of tensors as PyTorch saves it, {got}") from None


class _Unpickler(pickle.Unpickler):
    """Unpickler that creates only dictionaries, lists, numbers, strings and descriptions of tensors."""

    def __init__(self, stream, path: Path):
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in _TYPES:
            return _StorageType(name)
        raise UserError(
            f"{self._path}: must hold tensors only, got the name {module}.{name} in its pickle, which could run "
            "arbitrary code and is not loaded (save the state dictionary of the network alone)"
        )

    def persistent_load(self, identifier: Any) -> _Storage:
        kind, storage_type, key, _, count = identifier
        if kind != "storage" or not isinstance(key, str):
            raise pickle.UnpicklingError("a reference to something other than a storage")
        return _Storage(storage_type, key, count)


def _check_objects(content: bytes) -> None:
    """Raises UnpicklingError for two kinds of pickles that are small and would fill the memory or take for ever.

    Memory for objects is taken up to the largest number that the pickle gives one. The hash of a tuple, needed where it
    is a key, hashes its parts, each of which may be the same tuple twice, and so on.
    """
    stack: list[int | None] = []  # depth of each object; None for a mark
    memo: list[int] = []
    for operation, number, _ in pickletools.genops(content):
        if operation.name in _MEMO:
            place = len(memo) if number is None else int(number)
            if place > len(memo):
                raise pickle.UnpicklingError(f"object {place:,} after {len(memo):,} others")
            memo[place : place + 1] = [stack[-1] or 0]
            continue
        if operation.name in _AGAIN and number is not None:
            stack.append(memo[int(number)])
            continue
        if operation.name == "DUP":
            stack.append(stack[-1])
            continue
        taken = _taken(stack, operation)
        depth = 0 if operation.name in _UNHASHED else 1 + max(taken) if taken else 0
        if depth > _MAX_DEPTH:
            raise pickle.UnpicklingError(f"tuples nested more than {_MAX_DEPTH} times")
        stack += [None if made is pickletools.markobject else depth for made in operation.stack_after]


def _taken(stack: list[int | None], operation: pickletools.OpcodeInfo) -> list[int]:
    """Takes what an operation uses from the stack; returns the depths of these objects."""
    taken: list[int] = []
    wanted = len(operation.stack_before)
    if pickletools.markobject in operation.stack_before:
        while (depth := stack.pop()) is not None:
            taken.append(depth)
        wanted = operation.stack_before.index(pickletools.markobject)
    return taken + [stack.pop() or 0 for _ in range(wanted)]


def _tensor(storage, offset, shape, strides, *_) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _parameter(tensor, *_) -> Any:
    return tensor
