"""Weight files: one .npz per network in half precision, without pickle, with configuration and measured accuracy.

A file holds arrays under the names of the network's variables, and a header: the fingerprint of the face model they
belong to, and free metadata (configuration, seed, updates, time, accuracy, command).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files import headed_npz
from lib.files.atomic import atomic_path
from lib.files.file_names import fitting
from lib.files.json_files import json_text
from lib.files.numpy_files import DamagedFile
from model.networks.variable_names import mismatch, network_variables

FORMAT = "weights-2"
# With another configuration, the command would overwrite the built-in face model's weights.
_ADVICE = "run `python main.py --mode pretrain` with the same --config and options to make them"


def is_frozen(weights: str | Path) -> bool:
    """True if the suffix is that of a published network, which is used but never trained here."""
    return Path(weights).suffix in (".pb", ".pth")


def save_weights(path: Path, network, face_model: str, metadata: Mapping) -> None:
    """Writes all variables of `network` as float16, atomically.

    Args:
      path: the .npz to (re)place.
      network: a built Keras layer or model.
      face_model: fingerprint of the face model whose coefficients or faces it was trained on.
      metadata: JSON values.

    Raises:
      ValueError: a variable is outside the range of half precision.
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
    """Loads the file's weights into `network` (float32) and returns the file's metadata.

    Everything is checked before the first assignment.

    Raises:
      UserError: the file is missing, damaged, or belongs to another face model or network.
    """
    header, arrays = _read(path)
    if fault := _fault(header, arrays, network, face_model):
        raise UserError(f"{path}: {fault} ({_ADVICE})")
    for name, variable in network_variables(network.weights).items():
        variable.assign(arrays[name].astype(np.float32))
    return header["metadata"]


def check_replaceable(path: Path, network, face_model: str) -> None:
    """Refuses to overwrite the weights of another network or face model.

    Raises:
      UserError: `path` exists, and does not hold weights of such a network for this face model.
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
    """Metadata of a weight file, with the fingerprint of its face model under `face_model`.

    Raises:
      UserError: the file is missing or damaged.
    """
    header, _ = _read(path)
    return {**header["metadata"], "face_model": header["face_model"]}


def keep_previous(path: Path, metadata: dict) -> None:
    """Copies the weights of another run (with other metadata) to *.previous.npz before they are overwritten."""
    if not path.is_file():
        return
    earlier = read_metadata(path)
    if all(earlier.get(key) == value for key, value in json.loads(json_text(metadata)).items()):
        return  # the same run
    previous = path.with_name(fitting(path.stem, ".previous.npz"))
    with atomic_path(previous) as temporary:
        shutil.copyfile(path, temporary)
    print(f"{previous}: copy of the previous weights")


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
