"""ICT-FaceKit's light model from its folder `FaceXModel` as published (USC ICT, MIT licence).

    generic_neutral_mesh.obj                  neutral face; quads and texture coordinates
    identity000.obj ... identity099.obj       neutral face plus one identity mode each
    browDown_L.obj ... noseSneer_R.obj        neutral face plus one expression at full strength each
    vertex_indices.json                       "expressions": their names; "idx_to_landmark_verts": 68 vertices

Lengths are centimetres, x to the subject's left, y up, z out of the face, as in `FaceModel`. Only the face area is
kept: the first 9,409 vertices and 9,230 polygons of the meshes, without eyeballs, teeth and back of the head. Earlier
releases number the vertices differently and are refused.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.completion import mirror_by_position
from lib.face_model_files.correspondence import find_correspondence
from lib.face_model_files.formats.obj_files import read_vertices, vertex_count
from lib.face_model_files.polygons import split_quads

NAME = "ICT-FaceKit"
NEUTRAL, INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"
CENTIMETRES = 10.0  # in a decimetre
# Expression strengths are in 0..1 and mostly small. Their standard deviation is taken as 0.25: half strength is two
# deviations, and random coefficients of both signs still give faces although all expressions act at once.
STRENGTH = 0.25


@dataclasses.dataclass(frozen=True)
class Extent:
    """The face area of the published meshes, as counts from the start of the files."""

    vertices: int = 9409
    polygons: int = 9230
    narrow_vertices: int = 6706  # "narrow face area": no ears, no neck
    identities: int = 100


def is_ict(folder: Path) -> bool:
    """True if a folder holds the neutral face under its published name."""
    return (Path(folder) / NEUTRAL).is_file()


def load_ict(folder: Path, source: FaceModel, extent: Extent | None = None) -> FaceModel:
    """Loads the face area of the model, with the albedo of another model.

    Identity coefficients have unit variance as published; an expression coefficient of 1 is the strength STRENGTH.

    Args:
      folder: `FaceXModel`.
      source: model from which albedo, skin mask and regions are transferred.
      extent: of the face in the meshes; the published one by default.

    Raises:
      UserError: a file is missing or has the wrong contents; the message names it.
    """
    folder, extent = Path(folder), extent or Extent()
    names, landmarks = _read_indices(folder / INDICES, extent.vertices)
    modes = [f"identity{k:03d}" for k in range(extent.identities)]
    missing = [f"{name}.obj" for name in (*modes, *names) if not (folder / f"{name}.obj").is_file()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UserError(f"{folder}: {NAME} needs a mesh for each mode, missing: {', '.join(missing[:5])}{more}")
    neutral, count = read_vertices(folder / NEUTRAL, extent.vertices), vertex_count(folder / NEUTRAL)
    quads, uv = _read_polygons(folder / NEUTRAL, extent)

    def offsets(meshes: list[str]) -> np.ndarray:
        return np.array([read_vertices(folder / f"{m}.obj", extent.vertices, count) - neutral for m in meshes])

    # Each mesh is symmetric about x = 0, and centring must not shift it.
    mirror = mirror_by_position(neutral / CENTIMETRES)
    shape = (neutral - neutral.mean(axis=0)) / CENTIMETRES
    triangles = split_quads(neutral, quads)
    match = find_correspondence(folder, shape, triangles, landmarks, mirror, source)
    try:
        return FaceModel(
            name=NAME,
            mean_shape=shape,
            identity_basis=offsets(modes) / CENTIMETRES,
            expression_basis=offsets(names) * (STRENGTH / CENTIMETRES),
            mean_albedo=match.carry(source.mean_albedo),
            albedo_basis=match.carry(source.albedo_basis),
            triangles=triangles,
            landmarks=landmarks,
            skin_mask=match.mask(source.skin_mask),
            front_mask=np.arange(extent.vertices) < extent.narrow_vertices,
            mirror_index=mirror,
            uv=uv,
            regions=match.regions(),
            expression_names=tuple(names),
            expression_strength=STRENGTH,
        )
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from error


def _read_indices(path: Path, vertices: int) -> tuple[list[str], np.ndarray]:
    """Names of the expressions and [68] landmarks."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = [str(name) for name in data["expressions"]]
        landmarks = np.array(data["idx_to_landmark_verts"], np.int64)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: must be JSON with 'expressions' and 'idx_to_landmark_verts', got {type(error).__name__}: {error}"
        ) from None
    if landmarks.shape != (LANDMARKS,) or landmarks.min() < 0 or landmarks.max() >= vertices:
        raise UserError(f"{path}: 'idx_to_landmark_verts' must be {LANDMARKS} vertices of the face (0..{vertices - 1})")
    if not names or any(Path(name).name != name for name in names):
        raise UserError(f"{path}: 'expressions' must name meshes of the same folder, got {names[:5]}")
    return names, landmarks


def _read_polygons(path: Path, extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """0-based quads [Q, 4] of the face and texture coordinates [N, 2] of its vertices."""
    lines = path.read_bytes().split(b"\n")
    faces = [line[2:].split() for line in lines if line.startswith(b"f ")][: extent.polygons]
    try:
        chart = np.array([line.split()[1:3] for line in lines if line.startswith(b"vt ")], np.float64)
        corners = np.array([[c.split(b"/")[:2] for c in face] for face in faces]).astype(np.int64) - 1
    except ValueError as error:
        raise UserError(
            f"{path}: must have quads with texture coordinates (f v/vt ...), got others ({error})"
        ) from None
    if corners.shape != (extent.polygons, 4, 2):
        raise UserError(f"{path}: must begin with {extent.polygons} quads v/vt, got {list(corners.shape)}")
    quads = corners[..., 0]
    # Other releases number the vertices differently: their first polygons use vertices outside the face area.
    if not np.array_equal(np.unique(quads), np.arange(extent.vertices)):
        raise UserError(
            f"{path}: the first {extent.polygons} polygons must use the vertices 0..{extent.vertices - 1} alone, "
            f"got {quads.min()}..{quads.max()} (another release of {NAME}? data/README.md names the supported one)"
        )
    if corners[..., 1].min() < 0 or corners[..., 1].max() >= len(chart):
        raise UserError(f"{path}: polygons must use the {len(chart)} texture coordinates there are")
    uv = np.zeros((extent.vertices, 2))
    uv[quads] = chart[corners[..., 1]]
    return quads, uv
