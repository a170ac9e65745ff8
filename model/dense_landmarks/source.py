"""The face mesh's points on the configuration's face model: shipped for the program's own, else calibrated once."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from configs import schema
from lib.errors import UserError
from lib.face_mesh.groups import POINTS
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import NAME as HUMAN_HEAD
from lib.files import headed_npz
from lib.files.folders import cache_in
from lib.files.locks import sole_writer
from lib.files.numpy_files import DamagedFile, report_remade

# Points of the program's own face models, by their names, made for the default density and area. Other densities of the
# built-in face have the same texture coordinates, and with them the points; the human head is calibrated again.
BUILT_IN = "built-in face"
SHIPPED = {
    HUMAN_HEAD: schema.REPOSITORY / "data" / "face_mesh" / "human_head.npz",
    BUILT_IN: schema.REPOSITORY / "data" / "face_mesh" / "built_in.npz",
}
# The model's names in the configuration. A model of one's own may have any name, also one of those above.
_SOURCES = {"human-head": HUMAN_HEAD, "built-in": BUILT_IN}
# Change this whenever the same face model would get different points.
METHOD = "renders 1"


def surface_points(config: schema.Config, face_model: FaceModel) -> SurfacePoints:
    """Loads the points of the configuration's face model; on first use they are calibrated, which takes minutes.

    Of several processes that need them at a time, one calibrates and the others wait.

    Raises:
      UserError: a shipped file is damaged, the stored one may not be read, or the model's renders do not look like
        faces.
    """
    shipped = SHIPPED.get(face_model.name)
    if shipped is not None and shipped.is_file():
        stored = read_points(shipped)
        if stored.fingerprint == face_model.fingerprint:
            return stored.points
        if face_model.name == BUILT_IN and config.face_model.source in _SOURCES:
            return at_texture_coordinates(face_model, stored.uv)
    path = _cache_path(config, face_model)
    with contextlib.suppress(DamagedFile):  # reported below, by the process that makes it again
        if (known := _stored(path)) is not None:
            return known
    with contextlib.ExitStack() as stack:
        with cache_in(path.parent):
            stack.enter_context(sole_writer(path, "calibration of landmarks", wait=True))
        try:
            if (known := _stored(path)) is not None:  # another process has calibrated them meanwhile
                return known
        except DamagedFile as error:
            report_remade(path, error)
        points = _calibrated(face_model)
        with cache_in(path.parent):
            _write(path, points, face_model)
    return points


def _stored(path: Path) -> SurfacePoints | None:
    """The points of an earlier run; None if there are none or they are out of date; raises DamagedFile."""
    if not path.is_file():
        return None
    stored = _read(path)
    return stored.points if stored.method == METHOD else None


def remake(config: schema.Config, face_model: FaceModel) -> Path:
    """Calibrates the points of a face model and stores them.

    Those of the program's own models with default area, density and seed go to the repository's `SHIPPED` files.
    """
    path = _cache_path(config, face_model)
    section, default = config.face_model, schema.load().face_model
    if section == dataclasses.replace(default, source=section.source) and section.source in _SOURCES:
        path = SHIPPED[_SOURCES[section.source]]
    _write(path, _calibrated(face_model), face_model)
    return path


def _calibrated(face_model: FaceModel) -> SurfacePoints:
    # Rendering takes a while to import, and the points are nearly always there.
    from model.dense_landmarks.calibration import calibrate

    return calibrate(face_model)


def _write(path: Path, points: SurfacePoints, face_model: FaceModel) -> None:
    arrays = {
        "vertices": points.vertices,
        "barycentrics": points.barycentrics,
        "uv": points.on(face_model.uv).astype(np.float32),
    }
    header = {"face model": face_model.fingerprint, "method": METHOD}
    headed_npz.write(path, arrays, header, compress=True)


def _cache_path(config: schema.Config, face_model: FaceModel) -> Path:
    return config.generated_dir / f"face_mesh_{face_model.fingerprint}.npz"


def at_texture_coordinates(face_model: FaceModel, uv: np.ndarray) -> SurfacePoints:
    """Surface points at texture coordinates [M, 2]; those outside the chart take a place near them, on a triangle."""
    corners = face_model.uv[face_model.triangles].astype(np.float64)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    area = np.where(np.abs(area) < 1e-14, np.inf, area)
    vertices, barycentrics = [], []
    for point in np.asarray(uv, np.float64):
        offset = point - corners[:, 0]
        b = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / area
        c = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / area
        weights = np.clip(np.stack([1 - b - c, b, c], axis=1), 0, None)
        weights /= weights.sum(1, keepdims=True)
        distance = np.linalg.norm(np.einsum("fk,fkc->fc", weights, corners) - point, axis=1)
        best = int(distance.argmin())
        vertices.append(face_model.triangles[best])
        barycentrics.append(weights[best])
    return SurfacePoints(np.array(vertices, np.int32), np.array(barycentrics, np.float32))


@dataclasses.dataclass(frozen=True)
class StoredPoints:
    """Content of a file of points: points, their texture coordinates, the face model's fingerprint, and the method."""

    points: SurfacePoints
    uv: np.ndarray
    fingerprint: str
    method: str


def read_points(path: Path) -> StoredPoints:
    """Reads a file of points.

    Raises:
      UserError: the file is damaged, holds other data, or cannot be read.
    """
    try:
        return _read(path)
    except DamagedFile as error:
        raise UserError(f"{path}: must hold landmark points, got a damaged file ({error}; delete it)") from error


def _read(path: Path) -> StoredPoints:
    """`read_points`, but a damaged file raises DamagedFile."""
    try:
        header, arrays = headed_npz.read(path)
        points = SurfacePoints(arrays["vertices"], arrays["barycentrics"])
        stored = StoredPoints(points, arrays["uv"], header["face model"], header["method"])
    except OSError as error:
        raise UserError(f"{path}: must be readable, got: {error.strerror}") from error
    except KeyError as error:
        raise DamagedFile(f"{error} is missing") from error
    shapes = {"vertices": (POINTS, 3), "barycentrics": (POINTS, 3), "uv": (POINTS, 2)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise DamagedFile(f"{name} must be {list(shape)}, got {list(arrays[name].shape)}")
    return stored
