"""Checkpoints of a training run: every variable, the progress and what they belong to, in one .npz without pickle.

A checkpoint replaces the earlier one only when it is complete, so a killed run or a full disk leaves the last good one.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.numpy_files import read_npz
from utils import UserError, atomic_path

FORMAT = 1
_HEADER = "header"


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run stands; the data order and random draws follow from the seed and these numbers."""

    epoch: int = 0  # epochs finished
    update_in_epoch: int = 0  # updates done in the epoch that is under way
    update: int = 0  # updates done in all
    best_psnr: float = float("-inf")  # best validation PSNR so far [dB]
    seconds: float = 0.0  # spent on the updates, by all the processes that made them

    def after_update(self) -> "Progress":
        return dataclasses.replace(self, update=self.update + 1, update_in_epoch=self.update_in_epoch + 1)

    def after_epoch(self) -> "Progress":
        return dataclasses.replace(self, epoch=self.epoch + 1, update_in_epoch=0)


def save(path: Path, groups: Mapping[str, Sequence], progress: Progress, identity: Mapping[str, str]) -> None:
    """Writes a checkpoint atomically.

    Args:
      path: the .npz to (re)place.
      groups: variables by role, e.g. {"texture": network.variables, "texture_optimizer": optimizer.variables}.
      progress: where the run stands.
      identity: what the variables belong to, e.g. {"face model": fingerprint}; `restore` compares it.

    Raises:
      UserError: a variable is not finite, and what was saved before is better.
    """
    arrays = {}
    for group, variables in groups.items():
        for i, variable in enumerate(variables):
            arrays[f"{group}/{i:04d}"] = value = np.asarray(variable)
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise UserError(
                    f"'{_name(variable)}' must be finite to be saved, got NaN or infinity after update "
                    f"{progress.update} (lower the learning rate; {path} is left as it was)"
                )
    header = {
        "format": FORMAT,
        "progress": dataclasses.asdict(progress),
        "identity": dict(identity),
        "names": {group: [_name(v) for v in variables] for group, variables in groups.items()},
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays, **{_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)})


def restore(path: Path, groups: Mapping[str, Sequence], identity: Mapping[str, str]) -> Progress:
    """Assigns the checkpoint's values to the variables of `groups`; groups it holds beyond those are ignored.

    Everything is checked before the first assignment, so a refused checkpoint changes nothing.

    Raises:
      UserError: the file is missing, damaged, or belongs to another face model or network.
    """
    header, arrays = _read(path)
    for key, wanted in identity.items():
        found = header["identity"].get(key)
        if found != wanted:
            raise UserError(
                f"{path}: the checkpoint must belong to {key} {wanted}, got {found} "
                "(use the configuration it was trained with, or train again)"
            )
    values: list[tuple] = []
    for group, variables in groups.items():
        names = header["names"].get(group)
        if names is None or len(names) != len(variables):
            raise UserError(
                f"{path}: the checkpoint must hold {len(variables)} variables of '{group}', "
                f"got {0 if names is None else len(names)} (it was trained with another network)"
            )
        for i, (name, variable) in enumerate(zip(names, variables, strict=True)):
            value = arrays[f"{group}/{i:04d}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise UserError(
                    f"{path}: '{name}' must have shape {tuple(variable.shape)}, got {value.shape} "
                    "(it was trained with another network)"
                )
            values.append((variable, value))
    for variable, value in values:
        variable.assign(value)
    return Progress(**header["progress"])


def _name(variable) -> str:
    return getattr(variable, "path", None) or variable.name


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise UserError(f"{path}: a checkpoint must be here, got none (run `python main.py --mode train` first)")
    try:
        arrays = read_npz(path)
        header = json.loads(arrays.pop(_HEADER).tobytes())
    except (KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: must be a checkpoint written by this program, got a damaged or foreign file "
            f"({error}; delete it and train again)"
        ) from error
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: checkpoint format must be {FORMAT}, got {header.get('format')} (train again)")
    return header, arrays
