"""Shipped weights: one .npz per network, half precision, no pickle, with their recipe and measured accuracy.

The file holds the arrays in the order of the network's variables and a header (JSON as bytes): names, the fingerprint
of the face model the numbers belong to, and free metadata (configuration, seed, updates, time, accuracy, command).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.numpy_files import read_npz
from utils import UserError, atomic_path

FORMAT = "weights-1"
_HEADER = "header"
# Without its configuration the command would replace the built-in model's weights.
_ADVICE = "run `python main.py --mode pretrain` with the same --config and options to make them"


def save_weights(path: Path, network, face_model: str, metadata: Mapping) -> None:
    """Writes every variable of `network` in float16, complete or not at all.

    Args:
      path: the .npz to (re)place.
      network: a built Keras layer or model.
      face_model: fingerprint of the face model whose coefficients or faces it was trained on.
      metadata: anything JSON can hold.

    Raises:
      ValueError: a variable holds a number that half precision cannot.
    """
    arrays, names = {}, []
    for i, variable in enumerate(network.weights):
        value = np.asarray(variable, np.float32)
        if not (np.abs(value) <= np.finfo(np.float16).max).all():
            raise ValueError(f"weights must be finite and below 65504 in half precision, got {variable.path} beyond")
        arrays[f"{i:04d}"] = value.astype(np.float16)
        names.append(variable.path)
    header = {"format": FORMAT, "face_model": face_model, "names": names, "metadata": dict(metadata)}
    header = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays, **{_HEADER: header})


def load_weights(path: Path, network, face_model: str) -> dict:
    """Assigns the file's numbers to `network` (float32) and returns its metadata.

    Everything is checked before the first assignment.

    Raises:
      UserError: missing, damaged, of another face model or of another network.
    """
    header, arrays = _read(path)
    if header["face_model"] != face_model:
        raise UserError(
            f"{path}: the weights must belong to the face model {face_model}, got weights for {header['face_model']} "
            f"({_ADVICE})"
        )
    variables = network.weights
    if len(header["names"]) != len(variables):
        raise UserError(
            f"{path}: must hold the {len(variables)} variables of {network.name}, got {len(header['names'])} "
            f"(another depth or kind of network; {_ADVICE})"
        )
    values = [arrays[f"{i:04d}"] for i in range(len(variables))]
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise UserError(
                f"{path}: {variable.path} must be {list(variable.shape)}, got {list(value.shape)} "
                f"(another width or number of coefficients; {_ADVICE})"
            )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value.astype(np.float32))
    return header["metadata"]


def read_metadata(path: Path) -> dict:
    """What the file says about itself: its metadata and `face_model`, the fingerprint it belongs to.

    Raises:
      UserError: missing or damaged.
    """
    header, _ = _read(path)
    return {**header["metadata"], "face_model": header["face_model"]}


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise UserError(f"{path}: network weights must be here, got none ({_ADVICE})")
    try:
        arrays = read_npz(path)
        header = json.loads(arrays.pop(_HEADER).tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']!r}")
        missing = [i for i in range(len(header["names"])) if f"{i:04d}" not in arrays]
        if missing:
            raise ValueError(f"array {missing[0]} is missing")
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: must be weights written by this program, got something else ({error})") from error
    return header, arrays
