"""Checkpoints of a training run: variables by name, progress and identifiers of the configuration, in one .npz.

A checkpoint replaces the earlier one only when it is complete, so an interrupted run or a full disk leaves a good one.
"""

import contextlib
import dataclasses
import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lib.errors import UserError
from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile
from model.networks.identifiers import LEVELS, differing
from model.networks.variable_names import mismatch, shapes_of
from model.runs import training_data
from model.runs.set_aside import missing
from model.runs.training_data import TrainingData

FORMAT = 2
SECONDS = 120  # between checkpoints: a killed run repeats at most this much training
ADDED = ("records", "split", "camera", LEVELS)  # identifiers that checkpoints of earlier versions lack


@dataclasses.dataclass(frozen=True)
class Progress:
    """Position of a run; together with the seed, it determines data order and random draws."""

    epoch: int = 0  # epochs completed
    update_in_epoch: int = 0  # updates made in the current epoch
    update: int = 0  # updates made in total
    best_psnr: float | None = None  # best validation PSNR so far [dB]; None before the first validation
    seconds: float = 0.0  # spent so far, summed over resumed processes
    unmeasured: bool = False  # the validation after the last update is still due

    def after_update(self) -> "Progress":
        return dataclasses.replace(self, update=self.update + 1, update_in_epoch=self.update_in_epoch + 1)

    def after_epoch(self) -> "Progress":
        return dataclasses.replace(self, epoch=self.epoch + 1, update_in_epoch=0)


def save(
    path: Path,
    groups: Mapping[str, Mapping[str, keras.Variable]],
    progress: Progress,
    belongs_to: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    validation: Mapping[str, float] | None = None,
    trained_on: Iterable[TrainingData] | None = None,
    levels: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes a checkpoint atomically; when it returns, the checkpoint also survives a power failure.

    Args:
      path: the .npz to (re)place.
      groups: variables by role and name, e.g. {"texture": {"mesh_concat/weights": variable, ...}}; see
        `model.networks.variable_names`.
      progress: position of the run.
      belongs_to: identifiers to compare in `restore`, e.g. {"face model": fingerprint}.
      options: options of the run, for the `compare` of `restore`; JSON values.
      validation: what was measured with these variables.
      trained_on: the crops of the run, and of the weights that it started from.
      levels: mesh levels that the file carries, from `carried_arrays`.

    Raises:
      UserError: a variable is not finite; the earlier checkpoint is left as it is.
    """
    arrays = dict(levels or {})
    for group, variables in groups.items():
        for name, variable in variables.items():
            arrays[f"{group}/{name}"] = value = np.asarray(variable)
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise UserError(
                    f"'{name}' must be finite to be saved, got NaN or infinity after update "
                    f"{progress.update} (lower the learning rate; {path} is left as it was)"
                )
    header = {"format": FORMAT, "progress": dataclasses.asdict(progress), "belongs_to": dict(belongs_to)}
    if options is not None:
        header["options"] = dict(options)
    if validation is not None:
        header["validation"] = dict(validation)
    if trained_on is not None:
        header[training_data.ENTRY] = training_data.to_json(trained_on)
    headed_npz.write(path, arrays, header)


def digest(groups: Mapping[str, Mapping[str, keras.Variable]]) -> str:
    """Hash of the variables' names and values; arguments as for `save`."""
    result = hashlib.sha256()
    for group, variables in groups.items():
        for name, variable in variables.items():
            result.update(f"{group}/{name}".encode())
            result.update(np.ascontiguousarray(variable).tobytes())
    return result.hexdigest()


def read_options(path: Path) -> Mapping[str, Any] | None:
    """Options of the run that wrote a checkpoint; None in an earlier version's.

    Raises:
      UserError: the file is missing or its header is damaged.
    """
    return _entry(path, "options")


def read_validation(path: Path) -> Mapping[str, float | None] | None:
    """What was measured with a checkpoint's variables, None for NaN; None in an earlier version's.

    Raises:
      UserError: the file is missing or its header is damaged.
    """
    return _entry(path, "validation")


def read_identifiers(path: Path) -> Mapping[str, str]:
    """What a checkpoint belongs to, as given to `save`.

    Raises:
      UserError: the file is missing or its header is damaged.
    """
    return _entry(path, "belongs_to") or {}


def read_training_data(path: Path) -> tuple[TrainingData, ...]:
    """The crops of the run that wrote a checkpoint, and of the weights that it started from.

    Raises:
      UserError: the file is missing or its header is damaged.
    """
    return training_data.from_json(_header(path).get(training_data.ENTRY))


def restore(
    path: Path,
    groups: Mapping[str, Mapping[str, keras.Variable]],
    belongs_to: Mapping[str, str],
    compare: Callable[[Mapping[str, Any] | None], None] | None = None,
) -> Progress:
    """Assigns the checkpoint's values to the variables of the same names; ignores groups that are not in `groups`.

    Everything is checked before the first assignment, so a rejected checkpoint changes nothing.

    Args:
      path: the .npz.
      groups: variables by role and name, see `save`.
      belongs_to: identifiers that the checkpoint must have. Those in `ADDED` may be missing in an earlier version's.
      compare: called with the run's options (None in an earlier version's checkpoint); raises if they do not fit.

    Raises:
      UserError: the file is missing, damaged, or belongs to another face model or network.
    """
    header, arrays = _read(path)
    try:
        progress = Progress(**header["progress"])
        if not isinstance(header["belongs_to"], dict) or not isinstance(header.get("options", {}), dict):
            raise TypeError("a header of another form")
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: must be a checkpoint written by this program, got another header ({error})") from None
    for key, wanted, found in differing(header["belongs_to"], belongs_to, ADDED):
        means = "level files in data/params" if key == LEVELS else "configuration"
        raise UserError(
            f"{path}: the checkpoint must belong to {key} {wanted}, got {found} "
            f"(use the {means} it was trained with, or train again)"
        )
    if compare is not None:
        compare(header.get("options"))
    for group, variables in groups.items():
        prefix = f"{group}/"
        shapes = {name[len(prefix) :]: a.shape for name, a in arrays.items() if name.startswith(prefix)}
        if fault := mismatch(shapes_of(variables), shapes):
            raise UserError(f"{path}: '{group}' {fault} (it was trained with another network)")
    for group, variables in groups.items():
        for name, variable in variables.items():
            variable.assign(arrays[f"{group}/{name}"])
    return progress


def _entry(path: Path, name: str) -> dict | None:
    """An entry of a checkpoint's header; None if it is missing."""
    entry = _header(path).get(name)
    return entry if isinstance(entry, dict) else None


def _header(path: Path) -> dict:
    """A checkpoint's header, without its arrays."""
    with _damage_named(path):
        header = headed_npz.read_header(path)
    return _checked(path, header)


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    with _damage_named(path):
        header, arrays = headed_npz.read(path)
    return _checked(path, header), arrays


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Context manager for reading a checkpoint; raises UserError if it is missing, unreadable, damaged or foreign."""
    if not Path(path).is_file():
        raise UserError(missing(Path(path)))
    try:
        yield
    except (DamagedFile, OSError) as error:
        fault = error if isinstance(error, OSError) else error.__cause__
        if isinstance(fault, OSError) and fault.errno not in (None, errno.EINVAL):
            # Of rights, disk or network: the checkpoint may be good. A wrong offset in a damaged file is invalid.
            raise UserError(f"{path}: must be readable, got: {fault.strerror}") from error
        raise UserError(
            f"{path}: must be a checkpoint written by this program, got a damaged or foreign file "
            f"({error}; delete it and train again)"
        ) from error


def _checked(path: Path, header: dict) -> dict:
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: checkpoint format must be {FORMAT}, got {header.get('format')} (train again)")
    return header
