"""Basel Face Models 2017 and 2019 as published: HDF5 files with the layout of Statismo and Scalismo.

    shape/model/mean          [3 N] neutral mean face, millimetres, interleaved
    shape/model/pcaBasis      [3 N, K] orthonormal columns
    shape/model/pcaVariance   [K] variances
    expression/model/...      likewise; the mean is the mean expression, a displacement of the neutral face
    color/model/...           likewise, RGB in [0, 1]
    shape/representer/cells   [3, F] triangles, from 0
    metadata/landmarks/json   named points: [{"id": ..., "coordinates": [x, y, z]}, ...]

x to the subject's left, y up, z out of the face. The file names about thirty points, most of which are among the 68
landmarks; a `landmarks.txt` in the same folder takes precedence.
"""

import json
import math
from pathlib import Path

import h5py
import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.assembly import PublishedModel, assemble, face_only
from lib.face_model_files.landmark_files import FILE, complete_landmarks, read_landmarks
from lib.files.folders import visible_files
from lib.files.numpy_files import check_unpacked
from lib.geometry.lengths import MILLIMETRES

IDENTITY, EXPRESSION, ALBEDO = 80, 64, 80  # maximum numbers of components, as in the Basel Face Model 2009
# Names in the file of those of the 68 landmarks that it holds.
NAMED = {
    "center.chin.tip": 8, "center.nose.tip": 30, "right.nose.wing.tip": 31, "left.nose.wing.tip": 35,
    "right.eye.corner_outer": 36, "right.eye.corner_inner": 39, "left.eye.corner_inner": 42,
    "left.eye.corner_outer": 45, "right.lips.corner": 48, "right.lips.philtrum_ridge": 50,
    "center.lips.upper.outer": 51, "left.lips.philtrum_ridge": 52, "left.lips.corner": 54,
    "center.lips.lower.outer": 57, "center.lips.upper.inner": 62, "center.lips.lower.inner": 66,
}  # fmt: skip
_HOPS = 8  # links within a file that lead to one of its arrays
_SUFFIXES = (".h5", ".hdf5")


def find_statismo(path: Path) -> Path | None:
    """The model's file: the path itself, or the only .h5 file in a folder."""
    path = Path(path)
    if path.is_file():
        return path if path.suffix.lower() in _SUFFIXES else None
    files = visible_files(path, *_SUFFIXES)
    return files[0] if len(files) == 1 else None


def load_statismo(path: Path, source: FaceModel) -> FaceModel:
    """Loads the model in an .h5 file: its face area, the first components of identity, expression and colour.

    The mean expression is added to the mean face, because the coefficients of a `FaceModel` have zero mean.

    Args:
      path: the file, or a folder with one.
      source: model from which missing landmarks, regions and masks are transferred, and the albedo if the file has no
        colours.

    Raises:
      UserError: the file is of another kind, or its arrays are inconsistent.
    """
    file = find_statismo(path)
    if file is None:
        raise UserError(f"{path}: must be an .h5 file, or a folder with exactly one, got none or several")
    try:
        with h5py.File(file, "r") as data:
            shape, identity = _linear(file, data, "shape", IDENTITY, MILLIMETRES)
            expression = colour = None
            neutral = shape
            if _linked(file, data, "expression"):
                moved, expression = _linear(file, data, "expression", EXPRESSION, MILLIMETRES, shape.size)
                shape = shape + moved
            if _linked(file, data, "color"):
                colour = _linear(file, data, "color", ALBEDO, 1.0, shape.size)
            triangles = _array(file, data, "shape/representer/cells").astype(np.int64)
            points = _named_points(file, data)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # what h5py raises for damaged bytes follows no list
        raise UserError(f"{file}: must be an HDF5 file of a Basel Face Model, got something else ({error})") from None
    if triangles.ndim == 2 and triangles.shape[0] == 3:
        triangles = triangles.T
    valid = triangles.ndim == 2 and triangles.shape[1] == 3 and len(triangles) > 0
    if not valid or triangles.min() < 0 or triangles.max() >= len(shape):
        raise UserError(f"{file}: 'shape/representer/cells' must be [3, F] vertices within 0..{len(shape) - 1}")
    marks, used = file.parent / FILE, np.unique(triangles)
    if marks.is_file():
        landmarks = read_landmarks(marks, neutral * MILLIMETRES, used)
    else:
        known = {NAMED[name]: point / MILLIMETRES for name, point in points.items() if name in NAMED}
        landmarks = complete_landmarks(str(file), neutral, known, source, used)
    head = PublishedModel(
        where=str(file),
        name=file.stem,
        shape=shape,
        triangles=triangles,
        landmarks=landmarks,
        identity=identity,
        expression=expression,
        mean_albedo=None if colour is None else np.clip(colour[0], 0.0, 1.0),
        albedo=None if colour is None else colour[1],
        marks=marks if marks.is_file() else None,
    )
    return assemble(face_only(head, source), source)


def _linear(
    path: Path, data: h5py.File, part: str, count: int, unit: float, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean [N, 3] and at most `count` components [K, N, 3], scaled by their standard deviations."""
    mean = _array(path, data, f"{part}/model/mean").astype(np.float64).ravel()
    if mean.size % 3 or (size is not None and mean.size != size):
        raise UserError(f"{path}: '{part}/model/mean' must have {size or '3 N'} numbers, got {mean.size}")
    variance = _array(path, data, f"{part}/model/pcaVariance").astype(np.float64).ravel()[:count]
    name = f"{part}/model/pcaBasis"
    stored = _dataset(path, data, name)
    if stored.ndim != 2 or stored.shape[0] != mean.size or stored.shape[1] < variance.size:
        raise UserError(f"{path}: '{name}' must be [{mean.size}, K] with K variances, got {list(stored.shape)}")
    basis = _finite(path, name, stored[:, : variance.size])
    columns = basis.astype(np.float64) * (np.sqrt(np.maximum(variance, 0.0)) / unit)
    return mean.reshape(-1, 3) / unit, columns.T.reshape(variance.size, -1, 3)


def _array(path: Path, data: h5py.File, name: str) -> np.ndarray:
    return _finite(path, name, np.asarray(_dataset(path, data, name)))


def _dataset(path: Path, data: h5py.File, name: str) -> h5py.Dataset:
    if not _linked(path, data, name) or not isinstance(data[name], h5py.Dataset):
        raise UserError(f"{path}: must hold '{name}', as the Basel Face Models of 2017 and 2019 do, got no such array")
    found = data[name]
    if found.external or found.is_virtual:
        raise _elsewhere(path, name)
    # Parts that were never written take no bytes in the file; of others, whole chunks are unpacked.
    size = path.stat().st_size
    check_unpacked(found.nbytes, size)
    check_unpacked(math.prod(found.chunks or ()) * found.dtype.itemsize, size)
    return found


def _linked(path: Path, data: h5py.File, name: str) -> bool:
    """Whether the file holds `name`, all parts of which must be in the file itself, be it by links within it.

    HDF5 follows links of other kinds to any file that its user may read, and waits for ever for a pipe.
    """
    group, parts, hops = data, name.split("/"), 0
    while parts:
        part = parts.pop(0)
        if part in ("", "."):
            continue
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if isinstance(link, h5py.SoftLink):
            hops += 1
            if hops > _HOPS:
                return False
            group = data if link.path.startswith("/") else group
            parts = link.path.split("/") + parts
        elif isinstance(link, h5py.HardLink):
            group = group[part]
        elif link is None:
            return False
        else:
            raise _elsewhere(path, name)
    return True


def _elsewhere(path: Path, name: str) -> UserError:
    return UserError(f"{path}: must hold '{name}' itself, got one in another file (copy it into this one)")


def _finite(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise UserError(f"{path}: '{name}' must be finite numbers, got others")
    return values


def _named_points(path: Path, data: h5py.File) -> dict[str, np.ndarray]:
    """Name -> [3] millimetres; empty if the file has no named points."""
    if not _linked(path, data, "metadata/landmarks/json"):
        return {}
    try:
        raw = np.asarray(_dataset(path, data, "metadata/landmarks/json")).ravel()[0]
        entries = json.loads(raw.decode("utf-8") if isinstance(raw, bytes) else str(raw))
        points = {entry["id"]: np.array(entry["coordinates"], np.float64).reshape(3) for entry in entries}
        if not np.isfinite(list(points.values())).all():
            raise ValueError("NaN or infinity")
        return points
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: 'metadata/landmarks/json' must list named points, got others ({error})") from None
