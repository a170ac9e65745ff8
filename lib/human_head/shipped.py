"""The file of the human head: control mesh, bases in 16-bit fixed point, and the recipe that made them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile
from lib.messages import restoring

FORMAT = "human-head-1"
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "human_head" / "human_head.npz"
# Displacements are stored as multiples of this [dm]: errors of a micrometre.
STEP = 2e-5


@dataclass(frozen=True)
class HumanHead:
    """The human head over its control mesh, decimetres, y up, z forward.

    Attributes:
      header: recipe, seed, hash and licence of the source.
      mean: [V, 3].
      identity: [K, V, 3] for coefficients of unit variance.
      expression: [E, V, 3] at full strength.
      quads, chart, chart_quads, mirror: as in `ControlMesh`.
      helpers: name -> [h] vertices; tongue_quads: [q, 4].
      masks: name -> [T] in [0, 1] over the chart.
      places: "landmarks" [68, 2] ends of an edge, equal for a vertex, and "lips_inside" [2], upper and lower. The
        shipped file also holds "upper_contact" and "lower_contact", where the lips touch, which only the build reads.
      population: arrays of `IdentityModel` other than mean and basis.
      names: "expressions" and "targets" -> names.
    """

    header: dict
    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    quads: np.ndarray
    chart: np.ndarray
    chart_quads: np.ndarray
    mirror: np.ndarray
    helpers: dict[str, np.ndarray]
    tongue_quads: np.ndarray
    masks: dict[str, np.ndarray]
    places: dict[str, np.ndarray]
    population: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]

    @classmethod
    def load(cls, path: str | os.PathLike) -> "HumanHead":
        """Reads a file written by `save`.

        Raises:
          UserError: the file is missing, damaged or of another form.
        """
        try:
            header, arrays = headed_npz.read(path)
            if header.get("format") != FORMAT:
                raise DamagedFile(f"format {header.get('format')!r}, {FORMAT!r} expected")
            plain = {name: arrays[name] for name in _INTEGERS}
            return cls(
                header=header,
                mean=arrays["mean"],
                identity=_joined(arrays, "identity"),
                expression=_joined(arrays, "expression"),
                chart=arrays["chart"],
                helpers=_group(arrays, "helpers"),
                masks={name: mask / np.float32(255) for name, mask in _group(arrays, "masks").items()},
                places=_group(arrays, "places"),
                population=_group(arrays, "population"),
                names={kind: tuple(header["names"][kind]) for kind in ("expressions", "targets")},
                **plain,
            )
        except (OSError, DamagedFile, KeyError) as error:
            raise _no_head(path, error) from error

    def save(self, path: str | os.PathLike) -> None:
        """Writes the file atomically, compressed."""
        arrays: dict[str, np.ndarray] = {"mean": self.mean.astype(np.float32), "chart": self.chart.astype(np.float32)}
        arrays |= {name: np.asarray(getattr(self, name), np.int32) for name in _INTEGERS}
        arrays |= _split("identity", self.identity) | _split("expression", self.expression)
        for group in ("helpers", "places"):
            arrays |= {f"{group}/{name}": np.asarray(a, np.int32) for name, a in getattr(self, group).items()}
        arrays |= {f"masks/{name}": np.rint(255 * mask).astype(np.uint8) for name, mask in self.masks.items()}
        arrays |= {f"population/{name}": a.astype(np.float32) for name, a in self.population.items()}
        header = {**self.header, "format": FORMAT, "names": {k: list(v) for k, v in self.names.items()}}
        headed_npz.write(path, arrays, header, compress=True)


def shipped_bytes() -> bytes:
    """The contents of the shipped file, whatever they are.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return SHIPPED.read_bytes()
    except OSError as error:
        raise _no_head(SHIPPED, error) from error


def _no_head(path: str | os.PathLike, error: Exception) -> UserError:
    return UserError(f"{path}: must be the human head of this program, got {error} ({restoring(path)})")


_INTEGERS = ("quads", "chart_quads", "mirror", "tongue_quads")


def _split(name: str, displacements: np.ndarray) -> dict[str, np.ndarray]:
    """Low and high bytes of displacements in steps of `STEP`, apart because they compress better so."""
    steps = np.rint(displacements / STEP)
    if np.abs(steps).max(initial=0) > np.iinfo(np.int16).max:
        raise ValueError(f"{name} must stay below {STEP * 32767:.2f} dm, got {np.abs(displacements).max():.2f}")
    pairs = steps.astype("<i2").view(np.uint8).reshape(*steps.shape, 2)
    return {f"{name}/low": np.ascontiguousarray(pairs[..., 0]), f"{name}/high": np.ascontiguousarray(pairs[..., 1])}


def _joined(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    low, high = arrays[f"{name}/low"], arrays[f"{name}/high"]
    steps = np.stack([low, high], axis=-1).view("<i2")[..., 0]
    return steps.astype(np.float32) * np.float32(STEP)


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
