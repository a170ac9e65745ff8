"""Files of network weights: one .npz per network, half precision, no pickle, with recipe and measured accuracy.

The file holds the arrays under the names of the network's variables and a header: the fingerprint of the face model
they belong to, and free metadata (configuration, seed, updates, time, accuracy, command).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files import headed_npz
from lib.files.atomic import atomic_path
from lib.files.json_files import json_text
from lib.files.numpy_files import DamagedFile
from model.networks.variable_names import mismatch, network_variables

FORMAT = "weights-2"
# Without its configuration the command would replace the built-in model's weights.
_ADVICE = "run `python main.py --mode pretrain` with the same --config and options to make them"


def is_frozen(weights: str | Path) -> bool:
    """True for the file of a published network, which is used but never trained, by its suffix."""
    return Path(weights).suffix in (".pb", ".pth")


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
    arrays = {}
    for name, variable in network_variables(network.weights).items():
        value = np.asarray(variable, np.float32)
        if not (np.abs(value) <= np.finfo(np.float16).max).all():
            raise ValueError(f"weights must be finite and below 65504 in half precision, got {name} beyond")
        arrays[name] = value.astype(np.float16)
    headed_npz.write(
        path, arrays, {"format": FORMAT, "face_model": face_model, "metadata": dict(metadata)}, compress=True
    )


def load_weights(path: Path, network, face_model: str) -> dict:
    """Assigns the file's numbers to `network` (float32) and returns its metadata.

    Everything is checked before the first assignment.

    Raises:
      UserError: missing, damaged, of another face model or of another network.
    """
    header, arrays = _read(path)
    if fault := _fault(header, arrays, network, face_model):
        raise UserError(f"{path}: {fault} ({_ADVICE})")
    for name, variable in network_variables(network.weights).items():
        variable.assign(arrays[name].astype(np.float32))
    return header["metadata"]


def check_replaceable(path: Path, network, face_model: str) -> None:
    """Refuses to replace the weights of another network or face model.

    Raises:
      UserError: `path` exists and is anything but weights of such a network for this face model.
    """
    if not Path(path).is_file():
        return
    header, arrays = _read(path)
    if fault := _fault(header, arrays, network, face_model):
        raise UserError(
            f"{path}: would be replaced by weights of another kind, {fault} (write the new ones elsewhere: "
            "regressor.weights=FILE.npz identity.weights=FILE.npz)"
        )


def _fault(header: Mapping, arrays: Mapping[str, np.ndarray], network, face_model: str) -> str:
    """Reason why the arrays of a file do not fit a network; empty if they do."""
    if header["face_model"] != face_model:
        return f"the weights must belong to the face model {face_model}, got weights for {header['face_model']}"
    fault = mismatch(network_variables(network.weights), {name: array.shape for name, array in arrays.items()})
    return f"{fault}: another depth, width or kind of network, or another number of coefficients" if fault else ""


def read_metadata(path: Path) -> dict:
    """Metadata of a file of weights, and under `face_model` the fingerprint of the face model it belongs to.

    Raises:
      UserError: missing or damaged.
    """
    header, _ = _read(path)
    return {**header["metadata"], "face_model": header["face_model"]}


def keep_previous(path: Path, metadata: dict) -> None:
    """Copies the weights of another run to *.previous.npz before they are replaced; runs differ in their metadata."""
    if not path.is_file():
        return
    earlier = read_metadata(path)
    if all(earlier.get(key) == value for key, value in json.loads(json_text(metadata)).items()):
        return  # the same run once more
    previous = path.with_suffix(".previous.npz")
    with atomic_path(previous) as temporary:
        shutil.copyfile(path, temporary)
    print(f"{previous}: the weights that were there before")


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise UserError(f"{path}: network weights must be here, got none ({_ADVICE})")
    try:
        header, arrays = headed_npz.read(path)
        if header["format"] != FORMAT:
            raise DamagedFile(f"format {header['format']!r}")
        if not isinstance(header["face_model"], str) or not isinstance(header["metadata"], dict):
            raise DamagedFile("a header of another format")
    except (DamagedFile, KeyError) as error:
        raise UserError(f"{path}: must be weights written by this program, got something else ({error})") from error
    return header, arrays
