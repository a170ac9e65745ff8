"""Weight files: one compact .npz per network, without pickle, with configuration and measured accuracy.

A file holds arrays under the names of the network's variables, and a header: the fingerprint of the face model they
belong to, and free metadata (configuration, seed, updates, time, accuracy). Large kernels are int8 with a
float16 scale for each output channel, `NAME/scale`; the other arrays are float16.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from configs import schema
from lib.errors import UserError
from lib.files import headed_npz
from lib.files.atomic import atomic_path
from lib.files.file_names import fitting
from lib.files.numpy_files import DamagedFile
from lib.mesh_sampling import carried
from lib.messages import restoring
from model.networks.fixed.layers import Take
from model.networks.variable_names import mismatch, network_variables, shapes_of

Network = TypeVar("Network")

FORMAT = "weights-3"
_HALF_PRECISION = "weights-2"  # the same without int8 arrays; still read
_SCALE = "/scale"
# Files below data/ that come with the program.
_SHIPPED = (
    "weights/regressor.npz", "weights/identity.npz", "weights/mask.npz", "weights/texture.npz",
    "built_in/regressor.npz", "built_in/identity.npz",
)  # fmt: skip
MASK_FACES = "face_model.source=built-in"  # the faces that the shipped mask decoder was trained on
_LARGE = 1 << 14  # entries of a kernel from which eight bits for each are enough


def is_frozen(weights: str | Path) -> bool:
    """True if the suffix belongs to a published network, which is used but never trained here."""
    return Path(weights).suffix in (".pb", ".pth")


def save_weights(
    path: Path, network, face_model: str, metadata: Mapping, levels: Mapping[str, np.ndarray] | None = None
) -> None:
    """Writes all variables of `network` atomically, as `stored_precision` rounds them.

    Args:
      path: the .npz to (re)place.
      network: a built Keras layer or model.
      face_model: fingerprint of the face model whose coefficients or faces it was trained on.
      metadata: JSON values.
      levels: mesh levels that the file carries, from `carried_arrays`.

    Raises:
      ValueError: a variable is outside the range of half precision.
    """
    arrays = dict(levels or {})
    for name, variable in network_variables(network.weights).items():
        arrays |= _encode(name, np.asarray(variable, np.float32))
    headed_npz.write(
        path, arrays, {"format": FORMAT, "face_model": face_model, "metadata": dict(metadata)}, compress=True
    )


@contextmanager
def stored_precision(network) -> Iterator[None]:
    """Inside the block, the network's variables have the values that `load_weights` would read from its file."""
    variables = network_variables(network.weights)
    exact = {name: np.array(variable, np.float32) for name, variable in variables.items()}
    try:
        for name, variable in variables.items():
            variable.assign(_decode(_encode(name, exact[name]))[name])
        yield
    finally:
        for name, variable in variables.items():
            variable.assign(exact[name])


def _encode(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of one variable in a file."""
    if not (np.abs(value) <= np.finfo(np.float16).max).all():
        raise ValueError(f"weights must be finite and below 65504 in half precision, got {name} beyond")
    if value.ndim < 2 or value.size < _LARGE:
        return {name: value.astype(np.float16)}
    largest = np.abs(value).max(axis=tuple(range(value.ndim - 1)))
    # Rounded up, so that no entry exceeds 127.
    scale = np.nextafter((largest / 127).astype(np.float16), np.float16(np.inf))
    return {name: np.rint(value / scale.astype(np.float32)).astype(np.int8), name + _SCALE: scale}


def _decode(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Variables in float32, by name.

    Raises:
      KeyError: the scale of an int8 array is missing.
    """
    decoded = {}
    for name, array in arrays.items():
        if array.dtype == np.int8:
            decoded[name] = array * arrays[name + _SCALE].astype(np.float32)
        elif not name.endswith(_SCALE):
            decoded[name] = array.astype(np.float32)
    return decoded


def load_weights(path: Path, network, face_model: str, mode: str = "pretrain") -> dict:
    """Loads the file's weights into `network` (float32) and returns the file's metadata.

    Everything is checked before the first assignment. Messages name `mode`, the program's mode that makes such files.

    Raises:
      UserError: the file is missing, damaged, or belongs to another face model or network.
    """
    header, arrays = _read(path, mode)
    variables = network_variables(network.weights)
    if fault := _fault(header, arrays, shapes_of(variables), face_model):
        raise UserError(f"{path}: {fault} ({_advice(mode)})")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return header["metadata"]


def load_fixed(
    path: Path,
    make: Callable[[Take], Network],
    face_model: str,
    mode: str = "pretrain",
    options: Mapping[str, Any] | None = None,
) -> Network:
    """Makes a network with fixed weights (`model.networks.fixed`) from a file that `save_weights` wrote.

    Args:
      path: the file.
      make: makes the network of the arrays that it takes; called twice, first with zeros, to learn their shapes.
      face_model, mode: as in `load_weights`, whose errors it shares.
      options: `section.key` -> value of options that must be those of the training; not all show in arrays' shapes.
    """
    header, arrays = _read(path, mode)
    if header["face_model"] == face_model:  # another one is the graver fault, and named below
        _check_options(path, header["metadata"].get("config"), options or {}, mode)
    shapes: dict[str, tuple[int, ...]] = {}

    def zeros(name: str, *shape: int) -> np.ndarray:
        shapes[name] = shape
        return np.zeros(shape, np.float32)

    make(zeros)
    if fault := _fault(header, arrays, shapes, face_model):
        raise UserError(f"{path}: {fault} ({_advice(mode)})")
    return make(lambda name, *_: arrays[name])


def recipe_sections(config: schema.Config, sections: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options that weights were trained with, for their metadata: some sections, and train.deterministic."""
    options = {name: dataclasses.asdict(getattr(config, name)) for name in sections}
    return options | {"train": {"deterministic": config.train.deterministic}}


def check_replaceable(path: Path, network, face_model: str, elsewhere: str, mode: str = "pretrain") -> None:
    """Refuses to overwrite anything but weights of the same network and face model, or to write where it cannot.

    Args:
      path: the .npz that the run will write; its description, a .json, will be beside it.
      network, face_model: network and face model of the weights.
      elsewhere: advice on options that choose another file.
      mode: as in `load_weights`.

    Raises:
      UserError: the file cannot be written, or it exists and does not hold weights of such a network for this face
        model.
    """
    path = Path(path)
    if fault := _unwritable(path):
        raise UserError(f"{path}: must be a .npz file that can be written, got {fault} (choose another: {elsewhere})")
    if not path.is_file():
        return
    header, arrays = _read(path, mode)
    if fault := _fault(header, arrays, shapes_of(network_variables(network.weights)), face_model):
        raise UserError(
            f"{path}: would be replaced by weights of another kind, {fault} (write the new ones elsewhere: {elsewhere})"
        )


def _unwritable(path: Path) -> str:
    """Reason why weights cannot be written to a file, known before a run of hours; empty if they can."""
    if path.suffix != ".npz":
        return f"the suffix {path.suffix!r}"
    if path.exists() and not path.is_file():
        return "a folder" if path.is_dir() else "a device"
    folder = next(parent for parent in path.absolute().parents if parent.exists())  # the others will be made
    if not folder.is_dir():
        return f"{folder}, which is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder}, in which nothing may be written"


def _fault(
    header: Mapping, arrays: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]], face_model: str
) -> str:
    """Reason why the arrays of a file do not fit the wanted shapes and face model; empty if they do."""
    if header["face_model"] != face_model:
        return f"the weights must belong to the face model {face_model}, got weights for {header['face_model']}"
    fault = mismatch(wanted, {name: array.shape for name, array in arrays.items()})
    return f"{fault}: another depth, width or kind of network, or another number of coefficients" if fault else ""


def _check_options(path: Path, trained: Any, options: Mapping[str, Any], mode: str) -> None:
    """Raises UserError if options differ from those that the weights were trained with, as far as these are known."""
    for option, value in options.items():
        section, key = option.split(".")
        try:
            wanted = trained[section][key]
        except (KeyError, TypeError):  # not written by this program's training
            continue
        if wanted != value:
            raise UserError(
                f"{option}: must be {wanted}, with which {path} was trained, got {value} (leave it out, or "
                f"{_advice(mode)})"
            )


def read_metadata(path: Path, mode: str = "pretrain") -> dict:
    """Metadata of a weight file, with the fingerprint of its face model under `face_model`.

    Messages name `mode`, as those of `load_weights` do.

    Raises:
      UserError: the file is missing or damaged.
    """
    with _foreign_named(path, mode):
        header = headed_npz.read_header(path)
        _check_header(header)
    return {**header["metadata"], "face_model": header["face_model"]}


def keep_previous(path: Path, network) -> None:
    """Copies a file of other weights than the network's to *.previous.npz, before it is overwritten."""
    if not path.is_file():
        return
    _, earlier = _read(path)
    with stored_precision(network):
        new = {name: np.asarray(variable) for name, variable in network_variables(network.weights).items()}
    if new.keys() == earlier.keys() and all(np.array_equal(new[name], earlier[name]) for name in new):
        return  # of the same run, perhaps continued with other options
    previous = path.with_name(fitting(path.stem, ".previous.npz"))
    with atomic_path(previous) as temporary:
        shutil.copyfile(path, temporary)
    print(f"{previous}: copy of the previous weights")


def _advice(mode: str) -> str:
    """How to make weights that fit; with another configuration, the command would overwrite the shipped ones."""
    if mode == "masks":  # trained on the human head, masks end too low on real foreheads
        return f"run `python main.py --mode masks {MASK_FACES}` to make them"
    return f"run `python main.py --mode {mode}` with the same --config and options to make them"


def _remedy(path: Path, mode: str) -> str:
    """What to do about a file that is missing or damaged."""
    if path.absolute() in (schema.REPOSITORY / "data" / name for name in _SHIPPED):
        return restoring(path)
    return _advice(mode)


def _read(path: Path, mode: str = "pretrain") -> tuple[dict, dict[str, np.ndarray]]:
    with _foreign_named(path, mode):
        header, arrays = headed_npz.read(path)
        _check_header(header)
        return header, _decode({name: array for name, array in arrays.items() if not name.startswith(carried.PREFIX)})


def _check_header(header: Mapping) -> None:
    if header["format"] not in (FORMAT, _HALF_PRECISION):
        raise DamagedFile(f"format {header['format']!r}")
    if not isinstance(header["face_model"], str) or not isinstance(header["metadata"], dict):
        raise DamagedFile("a header of another format")


@contextmanager
def _foreign_named(path: Path, mode: str = "pretrain") -> Iterator[None]:
    """Turns what reading a missing or foreign file raises into UserError."""
    if not Path(path).is_file():
        raise UserError(f"{path}: network weights must be here, got none ({_remedy(Path(path), mode)})")
    try:
        yield
    except (DamagedFile, KeyError) as error:
        raise UserError(
            f"{path}: must be weights written by this program, got something else ({error}; "
            f"{_remedy(Path(path), mode)})"
        ) from error
