"""Check of ONNX files before a runtime opens them: all weights must be in the file itself.

The format lets a tensor refer to any other file on the machine for its values. The field numbers are those of
onnx.proto (https://github.com/onnx/onnx). The messages are read in place: protobuf's library would copy the weights
once for each message around them.
"""

from collections.abc import Iterator
from pathlib import Path

from lib.errors import UserError

# Message -> field number -> message in that field; only fields that can hold tensors.
_PARTS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# Kinds of fields, and the bytes of those of fixed length.
_VARINT, _LENGTH_DELIMITED, _FIXED = 0, 2, {1: 8, 5: 4}


def check_onnx(path: Path) -> None:
    """Raises UserError if a file is not an ONNX network or takes weights from other files."""
    try:
        _check("Model", memoryview(path.read_bytes()), path)
    except (ValueError, IndexError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: must be an ONNX network, got a file of another kind ({error})") from None


def _check(kind: str, data: memoryview, path: Path) -> None:
    for field, value in _fields(data):
        if kind == "Tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
            raise UserError(
                f"{path}: must hold its weights itself, got a network that reads other files (onnx.save with "
                "save_as_external_data=False makes one file of it)"
            )
        part = _PARTS[kind].get(field)
        if part and isinstance(value, memoryview):
            _check(part, value, path)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values of a message's fields; texts, numbers of fixed length and messages as views of `data`.

    Raises:
      ValueError, IndexError: not a message, or one with groups, which ONNX does not use.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if not field:
            raise ValueError("a field without a number")
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield field, value
            continue
        if wire == _LENGTH_DELIMITED:
            size, place = _varint(data, place)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"a field of kind {wire}")
        if size > len(data) - place:
            raise ValueError(f"a field of {size:,} bytes where {len(data) - place:,} are left")
        yield field, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of up to ten bytes, seven bits each, the lowest first; and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")
