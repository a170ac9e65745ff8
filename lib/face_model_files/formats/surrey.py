"""The Surrey Face Model (Huber et al. 2016) as distributed with the eos library, folder `share`.

    sfm_shape_3448.bin                mean face, 63 identity components, triangles, texture chart; 3,448 vertices
    ibug_to_sfm.txt                   50 of the 68 landmarks as vertices (TOML, landmarks numbered from 1)
    expression_blendshapes_3448.bin   optional: anger, disgust, fear, happiness, sadness, surprise at full strength

x to the subject's left, y up, z out of the face, millimetres. The public model has no colours; colours and expressions
in other files of the same layout are read. A `landmarks.txt` in the same folder takes precedence over ibug_to_sfm.txt.
"""

import tomllib
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.assembly import PublishedModel, assemble
from lib.face_model_files.completion import mirror_by_connection
from lib.face_model_files.formats.eos_files import EosModel, Linear, read_blendshapes, read_eos_model
from lib.face_model_files.landmark_files import FILE, complete_landmarks, read_landmarks
from lib.files.folders import visible_files
from lib.geometry.lengths import MILLIMETRES

NAME = "Surrey Face Model"
MARKS = "ibug_to_sfm.txt"
IDENTITY, EXPRESSION, ALBEDO = 80, 64, 80  # maximum numbers of components, as in the Basel models
# Blendshape strengths are in 0..1, coefficients have both signs: half strength is two deviations, as for ICT-FaceKit.
STRENGTH = 0.25


def find_surrey(path: Path) -> Path | None:
    """The model's file: a .bin, or the only sfm_*.bin in a folder."""
    path = Path(path)
    if path.is_file():
        return path if path.suffix.lower() == ".bin" else None
    files = [file for file in visible_files(path, ".bin") if file.name.startswith("sfm_")]
    return files[0] if len(files) == 1 else None


def load_surrey(path: Path, source: FaceModel) -> FaceModel:
    """Loads the model in an eos file.

    Args:
      path: the file, or a folder with one.
      source: model from which missing landmarks (jaw, inner mouth corners), regions and masks are transferred, and
        albedo and expressions if the file has none.

    Raises:
      UserError: the file is of another kind, or another file in its folder does not belong to it.
    """
    file = find_surrey(path)
    if file is None:
        raise UserError(f"{path}: must be a .bin file, or a folder with exactly one sfm_*.bin, got neither")
    model = read_eos_model(file)
    shape = model.shape.mean / MILLIMETRES
    expression, names, strength = None, tuple[str, ...](), None
    if isinstance(model.expression, Linear):
        # The coefficients of a `FaceModel` have zero mean, so the mean expression is added to the mean face.
        shape = shape + model.expression.mean / MILLIMETRES
        expression = model.expression.components[:EXPRESSION] / MILLIMETRES
    elif shapes := model.expression or _blendshapes_beside(file, len(model.shape.mean)):
        names, expression = tuple(shapes), np.array(list(shapes.values())) * (STRENGTH / MILLIMETRES)
        strength = STRENGTH
    marks = _marks(file)
    landmarks = _landmarks(marks, model, shape, source)
    shape = shape - shape.mean(axis=0)  # moves the plane of symmetry to x = 0; it is 0.1 mm off in the file
    colour = model.colour
    published = PublishedModel(
        where=str(file),
        name=NAME,
        shape=shape,
        triangles=model.shape.triangles,
        landmarks=landmarks,
        identity=model.shape.components[:IDENTITY] / MILLIMETRES,
        expression=expression,
        mean_albedo=None if colour is None else np.clip(colour.mean, 0.0, 1.0),
        albedo=None if colour is None else colour.components[:ALBEDO],
        uv=model.uv,
        expression_names=names,
        expression_strength=strength,
        mirror=mirror_by_connection(shape, model.shape.triangles),
        marks=marks,
    )
    return assemble(published, source)


def _blendshapes_beside(path: Path, vertices: int) -> dict[str, np.ndarray] | None:
    """Blendshapes from the file in the model's folder whose name holds the number of vertices; None without it."""
    beside = path.parent / f"expression_blendshapes_{vertices}.bin"
    return read_blendshapes(beside, vertices) if beside.is_file() else None


def _marks(path: Path) -> Path:
    """The file of the landmarks, beside the model's."""
    for marks in (path.parent / FILE, path.parent / MARKS):
        if marks.is_file():
            return marks
    raise UserError(
        f"{marks}: must name landmarks of {path.name}, got no such file (copy it from the same folder of eos, or "
        f"put all {LANDMARKS} into {FILE}, one vertex number per line)"
    )


def _landmarks(marks: Path, model: EosModel, shape: np.ndarray, source: FaceModel) -> np.ndarray:
    """[68] vertices."""
    if marks.name == FILE:
        return read_landmarks(marks, model.shape.mean)
    known = _read_marks(marks, len(shape))
    landmarks = complete_landmarks(str(marks), shape, {k: shape[vertex] for k, vertex in known.items()}, source)
    landmarks[list(known)] = list(known.values())
    return landmarks


def _read_marks(path: Path, vertices: int) -> dict[int, int]:
    """0-based landmark number -> vertex."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["landmark_mappings"].items()
        known = {int(number) - 1: vertex for number, vertex in entries}
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: must be TOML with 'landmark_mappings' of landmark numbers, got {type(error).__name__}: {error}"
        ) from None
    wrong = [
        f"{number + 1} = {vertex!r}"
        for number, vertex in known.items()
        if number not in range(LANDMARKS) or type(vertex) is not int or vertex not in range(vertices)
    ]
    if wrong:
        raise UserError(
            f"{path}: must give vertices within 0..{vertices - 1} for landmarks from 1 to {LANDMARKS}, got "
            f"{', '.join(wrong[:3])} (does it belong to the model in its folder?)"
        )
    if len(set(known.values())) < len(known):
        raise UserError(f"{path}: must give every landmark a different vertex, got one vertex for several")
    return known
