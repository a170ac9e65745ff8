"""A face model from one mesh with landmarks; identity, expressions and albedo come from another model.

    template.obj                   neutral face in any units, place and orientation; polygons of any size
    landmarks.txt                  its 68 landmarks: a 0-based vertex number or three coordinates per line
    identity/*.obj                 optional: each the template plus one standard deviation of an identity mode
    expressions/NAME.obj           optional: each the template plus one standard deviation of an expression

Missing identity modes or expressions are transferred from the built-in model: the two faces are aligned by their
landmarks, and each vertex takes the displacement of the closest point on the built-in face.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model.landmark_order import check_landmarks
from lib.face_model_files.assembly import PublishedModel, assemble
from lib.face_model_files.formats.obj_files import ObjMesh, read_obj, read_vertices
from lib.face_model_files.landmark_files import FILE, read_landmarks
from lib.files.folders import visible_files

TEMPLATE = "template.obj"
IDENTITY, EXPRESSIONS = "identity", "expressions"
# Sizes of a face, in the file's units, whose squares are numbers; and how many times as far a vertex may lie.
SIZES, FARTHEST = (1e-100, 1e100), 1000.0


def is_template(path: Path) -> bool:
    """True if a folder holds a template."""
    return (Path(path) / TEMPLATE).is_file()


def load_template(folder: Path, source: FaceModel) -> FaceModel:
    """Loads the model in a folder.

    Args:
      folder: folder of the files listed above.
      source: model from which displacements, albedo and regions are transferred.

    Raises:
      UserError: a file is missing or inconsistent; the message names it.
    """
    folder = Path(folder)
    path = folder / TEMPLATE
    mesh = read_obj(path)
    marks = folder / FILE
    if not marks.is_file():
        raise UserError(
            f"{marks}: must name the 68 landmarks of {TEMPLATE}, got no such file (docs/guide/own_face_model.md)"
        )
    if mesh.on_seams:
        print(
            f"{path}: its texture coordinates are not used, because {mesh.on_seams} vertices have several (seams); a "
            "cylinder takes their place, or exports unwrap the mesh"
        )
    surface = _surface(path, mesh)
    landmarks = read_landmarks(marks, mesh.vertices, surface.vertices)
    _check_size(path, mesh.vertices[surface.vertices], mesh.vertices[landmarks])
    # In float64, as read: float32 would round coordinates far from the origin.
    similarity = check_landmarks(mesh.vertices[landmarks], source, marks)
    linear = similarity[:3, :3].T
    shape = mesh.vertices @ linear + similarity[:3, 3]
    shape, landmarks = shape[surface.vertices], surface.number[landmarks]
    _check_winding(path, shape, surface.triangles, landmarks)

    def offsets(kind: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
        files = visible_files(folder / kind, ".obj")
        if not files:
            return None, ()
        moved = [read_vertices(file, total=len(mesh.vertices)) - mesh.vertices for file in files]
        return np.array(moved)[:, surface.vertices] @ linear, tuple(file.stem for file in files)

    expression, names = offsets(EXPRESSIONS)
    published = PublishedModel(
        where=str(folder),
        name=f"{folder.name} ({TEMPLATE})",
        shape=shape,
        triangles=surface.triangles,
        landmarks=landmarks,
        identity=offsets(IDENTITY)[0],
        expression=expression,
        uv=None if mesh.uv is None else mesh.uv[surface.vertices],
        expression_names=names,
    )
    return assemble(published, source)


@dataclass(frozen=True)
class _Surface:
    """Vertices and triangles that a template's polygons use.

    Attributes:
      vertices: [N] numbers of the used vertices in the file.
      number: [total] the new number of each used vertex.
      triangles: [F, 3] new numbers, without doubled and collapsed triangles.
    """

    vertices: np.ndarray
    number: np.ndarray
    triangles: np.ndarray


def _surface(path: Path, mesh: ObjMesh) -> _Surface:
    """Leaves out vertices that no triangle uses, triangles met twice (in any direction), and those without area.

    Prints what was left out.
    """
    corners = np.sort(mesh.triangles, axis=1)
    first = np.zeros(len(corners), bool)
    first[np.unique(corners, axis=0, return_index=True)[1]] = True
    kept = first & (np.diff(corners, axis=1) > 0).all(axis=1)
    triangles = mesh.triangles[kept]
    vertices = np.unique(triangles)
    unused, doubled = len(mesh.vertices) - len(vertices), len(corners) - len(triangles)
    if unused or doubled:
        print(f"{path}: left out {unused} vertices that no polygon uses, {doubled} doubled or collapsed triangles")
    number = np.full(len(mesh.vertices), -1)
    number[vertices] = np.arange(len(vertices))
    return _Surface(vertices, number, number[triangles])


def _check_size(path: Path, vertices: np.ndarray, landmarks: np.ndarray) -> None:
    """Raises UserError if the landmarks [68, 3] are all in one place, or vertices [N, 3] lie far from any face."""
    middle = landmarks.mean(axis=0)
    size, farthest = np.abs(landmarks - middle).max(), np.abs(vertices - middle).max()
    if not SIZES[0] < size < SIZES[1] or not farthest < FARTHEST * size:
        raise UserError(
            f"{path}: vertices must lie within {FARTHEST:,.0f} times the extent of the landmarks, which must not be 0, "
            f"got {farthest:.3g} and an extent of {size:.3g} (delete stray vertices)"
        )


def _check_winding(path: Path, shape: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> None:
    """Raises UserError unless the triangles at the landmarks face forwards."""
    a, b, c = (shape[triangles[np.isin(triangles, landmarks[17:]).any(axis=1), corner]] for corner in range(3))
    forwards = np.cross(b - a, c - a)[:, 2]
    if forwards.sum() <= 0:
        raise UserError(
            f"{path}: polygons must be counter-clockwise seen from outside, got them clockwise (flip the normals)"
        )
