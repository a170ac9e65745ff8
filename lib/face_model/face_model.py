"""The morphable face model as validated arrays, with any number of vertices and coefficients; saved without pickle."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.face_model.fingerprint import rounded_projections
from lib.files.folders import cache_in
from lib.files.numpy_files import DamagedFile, read_npz, report_remade, write_npz

FORMAT = "face-model-1"
LANDMARKS = 68

_FLOAT = ("mean_shape", "identity_basis", "expression_basis", "mean_albedo", "albedo_basis", "uv")
_INTEGER = ("triangles", "landmarks", "mirror_index")
_BOOLEAN = ("skin_mask", "front_mask")
_ARRAYS = _FLOAT + _INTEGER + _BOOLEAN
# Optional arrays of a file: both or neither.
ONE_SIDED, SIGMA = "expression_prior/one_sided", "expression_prior/sigma"
_STRENGTH = "expression_strength"  # also optional
_REGIONS, _PEOPLE = "regions/", "people/"


@dataclass(frozen=True, eq=False)
class ExpressionPrior:
    """The expected range of expression coefficients, for fitting.

    Attributes:
      one_sided: [Ke] bool, True where only positive values occur (muscles only pull).
      sigma: [Ke] float32, standard deviations.
    """

    one_sided: np.ndarray
    sigma: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "one_sided", _read_only(self.one_sided, np.bool_))
        object.__setattr__(self, "sigma", _read_only(self.sigma, np.float32))

    @classmethod
    def standard(cls, count: int) -> ExpressionPrior:
        """Unit variance, both signs, for `count` coefficients."""
        return cls(np.zeros(count, bool), np.ones(count))


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear model of shape and albedo over one mesh.

    Frame: right-handed, x right, y up, z towards the camera, decimetres, centroid of the mean shape at the origin.
    Arrays are converted to float32, int32 or bool and made read-only.

    Attributes:
      name: shown in messages and reports.
      mean_shape: [N, 3].
      identity_basis: [Ki, N, 3], scaled so that coefficients have unit variance.
      expression_basis: [Ke, N, 3], scaled likewise.
      mean_albedo: [N, 3] RGB in [0, 1].
      albedo_basis: [Ka, N, 3], scaled likewise, in units of RGB in [0, 1].
      triangles: [F, 3] 0-based, counter-clockwise seen from outside.
      landmarks: [68] vertices in iBUG order, starting with the jaw at the left of the image.
      skin_mask: [N] bool, skin vertices (albedo terms).
      front_mask: [N] bool, vertices of the front of the face (photometric terms).
      mirror_index: [N] mirrored vertex of each vertex; an involution, the vertex itself on the midline.
      uv: [N, 2] texture coordinates.
      regions: name -> [N] weight in [0, 1].
      expression_names: one name for each expression coefficient, or empty.
      expression_prior: None for unit variance and both signs. Only fitting uses it, so it is not part of the
        fingerprint: weights trained with the model stay valid. `lib.face_model_files.published` replaces None by the
        prior that the expressions' names suggest; `ExpressionPrior.standard` stays.
      expression_strength: share of full strength that named expressions have at a coefficient of 1, for ARKit's weights
        and rigs; None if names alone decide (`lib.face_model_files.arkit`, `published`). Not part of the fingerprint.
      people: arrays that describe how identities are distributed (lib.human_head.population), to draw random people;
        empty where the standard normal distribution of the coefficients is all that is known.

    Raises:
      ValueError: a shape, an index or a value is not as described.
    """

    # Posing rotates the face about the origin, so a centroid more than a millimetre off is a loader's mistake.
    CENTROID_TOLERANCE: ClassVar[float] = 0.01

    name: str
    mean_shape: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray
    mean_albedo: np.ndarray
    albedo_basis: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray
    skin_mask: np.ndarray
    front_mask: np.ndarray
    mirror_index: np.ndarray
    uv: np.ndarray
    regions: dict[str, np.ndarray] = field(default_factory=dict)
    expression_names: tuple[str, ...] = ()
    expression_prior: ExpressionPrior | None = None
    expression_strength: float | None = None
    people: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        for names, dtype in ((_FLOAT, np.float32), (_INTEGER, np.int32), (_BOOLEAN, np.bool_)):
            for name in names:
                object.__setattr__(self, name, _read_only(getattr(self, name), dtype))
        regions = {name: _read_only(weight, np.float32) for name, weight in self.regions.items()}
        object.__setattr__(self, "regions", regions)
        object.__setattr__(self, "expression_names", tuple(str(name) for name in self.expression_names))
        self.validate()

    @property
    def vertex_count(self) -> int:
        """N."""
        return len(self.mean_shape)

    @property
    def layout(self) -> CoefficientLayout:
        """Order and sizes of this model's coefficient vector."""
        return CoefficientLayout(len(self.identity_basis), len(self.expression_basis), len(self.albedo_basis))

    @cached_property
    def fingerprint(self) -> str:
        """Short hexadecimal hash of the contents, without the name; equal for models that give the same results.

        A model computed on another processor differs in its last bits, because NumPy and LAPACK choose their kernels by
        processor. Therefore floats are hashed by their rounded projections on fixed random directions.
        """
        digest = hashlib.sha256(FORMAT.encode())
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"regions/{name}": self.regions[name] for name in sorted(self.regions)}
        for name, array in arrays.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(rounded_projections(array) if array.dtype == np.float32 else array.tobytes())
        digest.update("\n".join(self.expression_names).encode())
        for name in sorted(self.people):
            array = self.people[name]
            digest.update(f"people/{name} {array.shape}".encode())
            is_float = array.dtype.kind == "f"
            digest.update(rounded_projections(array) if is_float else "\n".join(array.tolist()).encode())
        return digest.hexdigest()[:16]

    def validate(self) -> None:
        """Raises ValueError unless shapes agree, indices are in range and all numbers are finite."""
        if self.mean_shape.ndim != 2 or self.mean_shape.shape[1] != 3 or len(self.mean_shape) < 3:
            self._fail("mean_shape", "[N, 3] with at least 3 vertices", list(self.mean_shape.shape))
        count = self.vertex_count
        self._check_shapes(count)
        for name in _FLOAT:
            bad = np.size(getattr(self, name)) - np.isfinite(getattr(self, name)).sum()
            if bad:
                self._fail(name, "finite everywhere", f"{bad} values that are not")
        for name in _INTEGER:
            array = getattr(self, name)
            if array.min() < 0 or array.max() >= count:
                hint = "indices start at 0" if array.max() == count else "they index the vertices"
                self._fail(name, f"within 0..{count - 1} ({hint})", f"{array.min()}..{array.max()}")
        for name in _BOOLEAN:
            if not getattr(self, name).any():
                self._fail(name, "true for at least one vertex", "none")
        if not (self.mirror_index[self.mirror_index] == np.arange(count)).all():
            wrong = int((self.mirror_index[self.mirror_index] != np.arange(count)).sum())
            self._fail("mirror_index", "an involution", f"{wrong} vertices whose mirror's mirror is another vertex")
        for name, weight in self.regions.items():
            if not (weight.min() >= 0 and weight.max() <= 1):
                self._fail(f"regions[{name!r}]", "within 0..1", f"{weight.min():g}..{weight.max():g}")
        if self.expression_names and len(self.expression_names) != len(self.expression_basis):
            expected = f"empty or one for each of the {len(self.expression_basis)} expression coefficients"
            self._fail("expression_names", expected, f"{len(self.expression_names)} names")
        if (prior := self.expression_prior) is not None:
            shape = (len(self.expression_basis),)
            for name in ("one_sided", "sigma"):
                if (found := getattr(prior, name).shape) != shape:
                    self._fail(f"expression_prior.{name}", f"{list(shape)}", list(found))
            if not (np.isfinite(prior.sigma).all() and (prior.sigma > 0).all()):
                self._fail("expression_prior.sigma", "positive and finite", prior.sigma.tolist())
        strength = self.expression_strength
        if strength is not None and not (math.isfinite(strength) and strength > 0):
            self._fail("expression_strength", "positive and finite", strength)
        centroid = self.mean_shape.mean(axis=0, dtype=np.float64)
        if np.abs(centroid).max() > self.CENTROID_TOLERANCE:
            position = ", ".join(f"{c:.4g}" for c in centroid)
            self._fail("mean_shape", "centred on the origin (subtract its centroid)", f"centroid ({position})")

    def save(self, path: str | os.PathLike) -> None:
        """Atomically writes an uncompressed .npz of plain arrays."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"{_REGIONS}{name}": weight for name, weight in self.regions.items()}
        arrays |= {"format": np.array(FORMAT), "name": np.array(self.name)}
        arrays |= {"expression_names": np.array(self.expression_names, dtype=np.str_)}
        arrays |= {f"{_PEOPLE}{name}": array for name, array in self.people.items()}
        if (prior := self.expression_prior) is not None:
            arrays |= {ONE_SIDED: prior.one_sided, SIGMA: prior.sigma}
        if self.expression_strength is not None:
            arrays |= {_STRENGTH: np.array(self.expression_strength)}
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Reads a file written by `save`.

        Raises:
          UserError: the file is not a face model, or its contents are inconsistent.
          OSError: the file cannot be read.
        """
        try:
            arrays = read_npz(path)
        except DamagedFile as error:
            raise UserError(f"{path}: must be a face model (.npz), got something else ({error})") from error
        if "format" not in arrays or str(arrays.pop("format")) != FORMAT:
            raise UserError(f"{path}: must be a face model of format {FORMAT!r}, got another .npz file")
        missing = [name for name in (*_ARRAYS, "name", "expression_names") if name not in arrays]
        if missing:
            raise UserError(f"{path}: a face model must hold {', '.join(missing)}, got a file without")
        if (ONE_SIDED in arrays) != (SIGMA in arrays):
            raise UserError(f"{path}: a face model must hold both {ONE_SIDED} and {SIGMA} or neither, got one of them")
        try:
            return cls(
                name=str(arrays["name"]),
                regions=_group(arrays, _REGIONS),
                people=_group(arrays, _PEOPLE),
                expression_names=tuple(arrays["expression_names"].tolist()),
                expression_prior=ExpressionPrior(arrays[ONE_SIDED], arrays[SIGMA]) if SIGMA in arrays else None,
                expression_strength=arrays[_STRENGTH].item() if _STRENGTH in arrays else None,
                **{name: arrays[name] for name in _ARRAYS},
            )
        except (ValueError, TypeError, OverflowError) as error:  # also of NumPy, for arrays of other types
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def cached(cls, path: Path, make: Callable[[], FaceModel]) -> FaceModel:
        """The model in a cache file; a missing or damaged one is made again, the latter with a message.

        Raises:
          OSError: the cache cannot be read.
        """
        if path.is_file():
            try:
                return cls.load(path)
            except UserError as error:
                report_remade(path, error)
        model = make()
        with cache_in(path.parent):
            model.save(path)
        return model

    def _check_shapes(self, count: int) -> None:
        vertex: dict[str, tuple[int, ...]] = dict.fromkeys((*_BOOLEAN, "mirror_index"), (count,))
        vertex |= {"mean_albedo": (count, 3), "uv": (count, 2), "landmarks": (LANDMARKS,)}
        for name, shape in vertex.items():
            if getattr(self, name).shape != shape:
                self._fail(name, f"{list(shape)}", list(getattr(self, name).shape))
        for name in ("identity_basis", "expression_basis", "albedo_basis"):
            array = getattr(self, name)
            if array.ndim != 3 or array.shape[1:] != (count, 3):
                self._fail(name, f"[K, {count}, 3]", list(array.shape))
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3 or not len(self.triangles):
            self._fail("triangles", "[F, 3] with at least one triangle", list(self.triangles.shape))
        for name, weight in self.regions.items():
            if weight.shape != (count,):
                self._fail(f"regions[{name!r}]", f"[{count}]", list(weight.shape))

    def _fail(self, what: str, expected: str, got) -> None:
        raise ValueError(f"face model {self.name!r}: {what} must be {expected}, got {got}")


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _read_only(array, dtype) -> np.ndarray:
    """The array as a read-only view of this type; writes would invalidate the fingerprint."""
    array = np.asarray(array)
    if dtype == np.int32 and array.dtype.kind not in "iub":
        raise ValueError(f"indices must be integers, got {array.dtype}")
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view
