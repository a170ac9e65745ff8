"""FLAME (Li et al. 2017) from an .npz of plain arrays; the published .pkl can run code and is never opened.

    v_template     [5023, 3] neutral head, metres, y up, z out of the face
    shapedirs      [5023, 3, 400] displacements for one standard deviation: 300 of identity, then 100 of expression
    f              [9976, 3] triangles, from 0

and optionally the landmarks as points on triangles: `full_lmk_faces_idx` [68] and `full_lmk_bary_coords` [68, 3], or
`static_lmk_faces_idx` [51] and `static_lmk_bary_coords` [51, 3] (all but the jaw). A `landmarks.txt` in the same folder
takes precedence. FLAME's joints are not used: a `FaceModel` is linear, and the expressions include jaw opening.
"""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.assembly import PublishedModel, assemble, face_only
from lib.face_model_files.landmark_files import FILE, complete_landmarks, read_landmarks
from lib.files.folders import visible_files
from lib.files.numpy_files import DamagedFile, array_names, read_npz

DECIMETRES = 10.0  # in a metre
IDENTITY, EXPRESSION = 100, 50  # maximum number of components, as commonly used with FLAME
PUBLISHED_IDENTITY, JAW = 300, 17
_NEEDED = ("v_template", "shapedirs", "f")
CONVERT = (
    "opening a .pkl can run arbitrary code: if you trust the file, convert it once, with chumpy installed, by "
    '`d = pickle.load(open(FILE, "rb"), encoding="latin1"); '
    'numpy.savez("flame.npz", **{k: numpy.asarray(d[k], d[k].dtype) for k in ("v_template", "shapedirs", "f")})`'
)


def find_flame(path: Path) -> Path | None:
    """The model's file: an .npz with FLAME's arrays, or else a .pkl, which `load_flame` refuses."""
    path = Path(path)
    candidates = [path] if path.is_file() else visible_files(path, ".npz") + visible_files(path, ".pkl")
    for file in candidates:
        if file.suffix.lower() == ".pkl":
            return file
        if file.suffix.lower() == ".npz" and array_names(file) >= set(_NEEDED):
            return file
    return None


def load_flame(path: Path, source: FaceModel) -> FaceModel:
    """Loads the face of FLAME's head, with the albedo of another model.

    Args:
      path: the .npz, or its folder.
      source: model from which albedo, regions and missing landmarks are transferred.

    Raises:
      UserError: the file is a .pkl, or its arrays are not FLAME's.
    """
    file = find_flame(path)
    if file is None:
        raise UserError(f"{path}: must be an .npz with {', '.join(_NEEDED)}, or a folder with one, got none")
    if file.suffix.lower() == ".pkl":
        raise UserError(f"{file}: must be an .npz of plain arrays, got a pickle ({CONVERT})")
    try:
        arrays = {name: array for name, array in read_npz(file).items() if name in _NEEDED or "lmk" in name}
    except (DamagedFile, OSError) as error:
        raise UserError(f"{file}: must hold plain arrays, got something else ({error}; {CONVERT})") from None
    template, directions, triangles = (arrays[name] for name in _NEEDED)
    if template.ndim != 2 or template.shape[1] != 3 or directions.shape[:2] != template.shape or directions.ndim != 3:
        raise UserError(
            f"{file}: 'v_template' must be [N, 3] and 'shapedirs' [N, 3, K], got {list(template.shape)} and "
            f"{list(directions.shape)}"
        )
    for name in _NEEDED:
        if arrays[name].dtype.kind not in "fiu" or not np.isfinite(arrays[name]).all():
            raise UserError(f"{file}: '{name}' must be finite numbers, got others")
    triangles = triangles.astype(np.int64)
    valid = triangles.ndim == 2 and triangles.shape[1] == 3 and len(triangles) > 0
    if not valid or triangles.min() < 0 or triangles.max() >= len(template):
        raise UserError(f"{file}: 'f' must be [F, 3] vertices within 0..{len(template) - 1}")
    basis = np.moveaxis(directions.astype(np.float64), -1, 0) * DECIMETRES
    # A model with fewer components than published holds no expressions.
    expression = basis[PUBLISHED_IDENTITY : PUBLISHED_IDENTITY + EXPRESSION]
    shape = template.astype(np.float64) * DECIMETRES
    # landmarks.txt may hold vertex numbers, or coordinates in metres like the model's own.
    marks, used = file.parent / FILE, np.unique(triangles)
    if marks.is_file():
        landmarks = read_landmarks(marks, template.astype(np.float64), used)
    else:
        known = _embedded(file, arrays, shape, triangles)
        landmarks = complete_landmarks(str(file), shape, known, source, used)
    head = PublishedModel(
        where=str(file),
        name=file.stem,
        shape=shape,
        triangles=triangles,
        landmarks=landmarks,
        identity=basis[:IDENTITY],
        expression=expression if len(expression) else None,
        marks=marks if marks.is_file() else None,
    )
    return assemble(face_only(head, source), source)


def _embedded(path: Path, arrays: dict, shape: np.ndarray, triangles: np.ndarray) -> dict[int, np.ndarray]:
    """Landmark number -> [3] dm for the landmarks in the file; empty if it holds none."""
    for kind, first in (("full", 0), ("static", JAW)):
        faces, weights = arrays.get(f"{kind}_lmk_faces_idx"), arrays.get(f"{kind}_lmk_bary_coords")
        if faces is None or weights is None:
            continue
        count = LANDMARKS - first
        # The published arrays have a leading axis of length 1.
        if faces.size != count or weights.size != 3 * count:
            raise UserError(
                f"{path}: '{kind}_lmk_faces_idx' must be {count} triangles and '{kind}_lmk_bary_coords' [{count}, 3] "
                f"weights, got {list(faces.shape)} and {list(weights.shape)}"
            )
        if faces.dtype.kind not in "iu" or weights.dtype.kind not in "fiu":
            raise UserError(
                f"{path}: '{kind}_lmk_faces_idx' must be integers and '{kind}_lmk_bary_coords' numbers, got "
                f"{faces.dtype} and {weights.dtype}"
            )
        faces, weights = faces.astype(np.int64).ravel(), weights.astype(np.float64).reshape(-1, 3)
        if faces.min() < 0 or faces.max() >= len(triangles) or not np.isfinite(weights).all():
            raise UserError(
                f"{path}: '{kind}_lmk_faces_idx' must lie within 0..{len(triangles) - 1} with finite weights, got "
                f"{faces.min()}..{faces.max()}"
            )
        points = (shape[triangles[faces]] * weights[..., None]).sum(axis=1)
        return dict(enumerate(points, start=first))
    return {}
