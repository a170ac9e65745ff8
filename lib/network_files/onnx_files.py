"""Check of ONNX files before a runtime opens them: all weights must be in the file itself.

The format lets a tensor refer to any other file on the machine for its values. The field numbers are those of
onnx.proto (https://github.com/onnx/onnx); the check needs only the protobuf library, not the onnx package.
"""

from pathlib import Path

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

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
_LENGTH_DELIMITED = 2


def check_onnx(path: Path) -> None:
    """Raises UserError if a file is not an ONNX network or takes weights from other files."""
    try:
        _check("Model", path.read_bytes(), path)
    except (DecodeError, RecursionError) as error:
        raise UserError(f"{path}: must be an ONNX network, got a file of another kind ({error})") from None


def _check(kind: str, data: bytes, path: Path) -> None:
    message = Empty()
    message.ParseFromString(data)
    for field in UnknownFieldSet(message):
        if kind == "Tensor" and (
            field.field_number == _EXTERNAL_DATA or (field.field_number == _DATA_LOCATION and field.data)
        ):
            raise UserError(
                f"{path}: must hold its weights itself, got a network that reads other files (onnx.save with "
                "save_as_external_data=False makes one file of it)"
            )
        part = _PARTS[kind].get(field.field_number)
        if part and field.wire_type == _LENGTH_DELIMITED:
            _check(part, field.data, path)
