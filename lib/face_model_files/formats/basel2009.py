"""The Basel Face Model 2009 from its publishers' files (Paysan et al. 2009; expressions of Guo et al. 2018).

    01_MorphableModel.mat                 mean face, identity and albedo bases over F = 53,490 vertices (Basel)
    Exp_Pca.bin, std_exp.txt              expression basis over E = 53,215 of them (Guo et al., from FaceWarehouse)
    BFM_exp_idx.mat, BFM_front_idx.mat    indices into F of the E vertices; into E of the C = 35,709 cropped vertices
    select_vertex_id.mat                  indices into F of the C vertices (if present, compared with the two above)
    facemodel_info.mat                    triangles, landmarks, masks over C (Deep3DFaceReconstruction)
    face05_4seg.mat, face05_symlist.txt   skin region and mirrored pairs over F (optional)

BFM_model_front.mat (also called bfm2009_face.mat), the result of converting these files, can replace all but the
optional ones; face05_* then also need the index files. Lengths are micrometres, decimetres after conversion; colours
0..255; indices start at 1.
"""

import dataclasses
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.completion import cylindrical_chart, mirror_by_position, mirror_from_pairs
from lib.face_model_files.formats.mat_files import MatFile

NAME = "Basel Face Model 2009"
MICROMETRES = 100_000.0  # in a decimetre
IDENTITY, EXPRESSION, ALBEDO = 80, 64, 80
READY = ("BFM_model_front.mat", "bfm2009_face.mat")
EXPRESSION_INDEX, FRONT_INDEX, SELECTED = "BFM_exp_idx.mat", "BFM_front_idx.mat", "select_vertex_id.mat"
DEVIATIONS = "std_exp.txt"
RAW = ("01_MorphableModel.mat", "Exp_Pca.bin", DEVIATIONS, EXPRESSION_INDEX, FRONT_INDEX)
SEGMENTS, PAIRS = "face05_4seg.mat", "face05_symlist.txt"
FULL = 53490  # vertices of the publishers' model
INFO = "facemodel_info.mat"
SKIN_SEGMENT = 3  # label in face05_4seg.mat; the others are nose (0), eyes (1) and mouth (2)
MIRRORED = 0.1  # maximum mean distance of mirrored pairs, as a share of the face's size


@dataclasses.dataclass(frozen=True)
class _Bases:
    """Arrays over the cropped vertices C, decimetres and RGB in [0, 1]; the indices of C in F if known."""

    mean_shape: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    mean_albedo: np.ndarray
    albedo: np.ndarray
    cropped_to_full: np.ndarray | None


def is_basel_2009(folder: Path) -> bool:
    """True if a folder holds one of the files specific to this model."""
    return any((Path(folder) / name).is_file() for name in (*READY, RAW[0]))


def load_basel_2009(folder: Path) -> FaceModel:
    """Loads the cropped model of Deep3DFaceReconstruction with 80 + 64 + 80 coefficients of unit variance.

    The skin mask comes from face05_4seg.mat (as in the original code of the texture networks) or, if that is missing,
    from facemodel_info.mat (as in Deep3DFaceReconstruction). Mirrored vertices come from face05_symlist.txt or, if that
    is missing, from the mean shape. No texture chart is published; a cylindrical one is computed.

    Args:
      folder: folder of the files listed above.

    Raises:
      UserError: a file is missing or has the wrong contents; the message names it.
    """
    folder = Path(folder)
    ready = next((folder / name for name in READY if (folder / name).is_file()), None)
    if ready is None:
        missing = [name for name in (*RAW, INFO) if not (folder / name).is_file()]
        if missing:
            raise UserError(
                f"{folder}: the {NAME} needs {', '.join((*RAW, INFO))}, or {READY[0]}; missing: {', '.join(missing)} "
                "(data/README.md lists their sources)"
            )
        bases = _from_raw(folder)
        info = MatFile(folder / INFO)
    else:
        info = MatFile(ready)
        bases = _from_ready(folder, info)
    count = len(bases.mean_shape)
    triangles = info.indices("tri", count)
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise UserError(f"{info.path}: 'tri' must have 3 columns, got {list(triangles.shape)}")
    front = np.zeros(count, bool)
    front[info.indices("frontmask2_idx", count)] = True
    centre = bases.mean_shape.mean(axis=0)
    mean_shape = bases.mean_shape - centre
    try:
        return FaceModel(
            name=NAME,
            mean_shape=mean_shape,
            identity_basis=bases.identity,
            expression_basis=bases.expression,
            mean_albedo=bases.mean_albedo,
            albedo_basis=bases.albedo,
            triangles=triangles,
            landmarks=info.indices("keypoints", count, LANDMARKS),
            skin_mask=_skin(folder, info, bases.cropped_to_full, count),
            front_mask=front,
            mirror_index=_mirror(folder, mean_shape, bases.cropped_to_full),
            uv=cylindrical_chart(mean_shape),
        )
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from error


def _from_ready(folder: Path, file: MatFile) -> _Bases:
    mean_shape = _vertices(file.numbers("meanshape"), file.path)
    rows = mean_shape.size
    return _Bases(
        mean_shape=mean_shape,
        identity=_basis(file.matrix("idBase", rows, IDENTITY)),
        expression=_basis(file.matrix("exBase", rows, EXPRESSION)),
        mean_albedo=_vertices(file.numbers("meantex", rows), file.path) / 255.0,
        albedo=_basis(file.matrix("texBase", rows, ALBEDO)) / 255.0,
        cropped_to_full=_cropped_of_ready(folder, rows // 3),
    )


def _cropped_of_ready(folder: Path, count: int) -> np.ndarray | None:
    """As `_cropped_to_full`, for a converted model of `count` vertices, which does not hold these indices itself.

    Raises:
      UserError: there are files over the full model, but no index files or indices of another length.
    """
    kept = _cropped_to_full(folder, FULL)
    over_full = [name for name in (SEGMENTS, PAIRS) if (folder / name).is_file()]
    if kept is None and over_full:
        raise UserError(
            f"{folder / over_full[0]}: numbers the full model's vertices and needs {SELECTED}, or {EXPRESSION_INDEX} "
            f"and {FRONT_INDEX}, in the same folder, got none (add them, or remove {over_full[0]})"
        )
    if kept is not None and len(kept) != count:
        raise UserError(
            f"{folder}: the lists of vertices must name the {count} of the converted model, got {len(kept)}"
        )
    return kept


def _from_raw(folder: Path) -> _Bases:
    model = MatFile(folder / RAW[0])
    full_shape = _vertices(model.numbers("shapeMU"), model.path)
    full = len(full_shape)
    expression_to_full = MatFile(folder / EXPRESSION_INDEX).indices("trimIndex", full)
    front = MatFile(folder / FRONT_INDEX).indices("idx", len(expression_to_full))
    kept = _cropped_to_full(folder, full)

    def scaled(kind: str, count: int) -> np.ndarray:
        """[count, C, 3] principal components times their standard deviations, which is what "EV" holds."""
        components = model.matrix(f"{kind}PC", 3 * full, count)
        deviations = model.numbers(f"{kind}EV")
        if deviations.size < count:
            raise UserError(f"{model.path}: '{kind}EV' must have at least {count} values, got {deviations.size}")
        return _basis(components)[:, kept] * deviations[:count, None, None]

    return _Bases(
        mean_shape=full_shape[kept] / MICROMETRES,
        identity=scaled("shape", IDENTITY) / MICROMETRES,
        expression=_expressions(folder, len(expression_to_full), EXPRESSION)[:, front] / MICROMETRES,
        mean_albedo=_vertices(model.numbers("texMU", 3 * full), model.path)[kept] / 255.0,
        albedo=scaled("tex", ALBEDO) / 255.0,
        cropped_to_full=kept,
    )


def _cropped_to_full(folder: Path, full: int) -> np.ndarray | None:
    """[C] indices of the cropped vertices in the full model, from the index files in the folder; None without these.

    Raises:
      UserError: two index files disagree.
    """
    through, selected = (folder / EXPRESSION_INDEX, folder / FRONT_INDEX), folder / SELECTED
    kept = None
    if all(path.is_file() for path in through):
        expression_to_full = MatFile(through[0]).indices("trimIndex", full)
        kept = expression_to_full[MatFile(through[1]).indices("idx", len(expression_to_full))]
    if selected.is_file():
        chosen = MatFile(selected).indices("select_id", full)
        if kept is not None and not np.array_equal(chosen, kept):
            raise UserError(
                f"{selected}: must name the same vertices as {FRONT_INDEX} through {EXPRESSION_INDEX}, got others"
            )
        kept = chosen
    return kept


def _expressions(folder: Path, vertices: int, count: int) -> np.ndarray:
    """[count, E, 3] micrometres: components of Exp_Pca.bin times the standard deviations of std_exp.txt.

    The binary file is little-endian: the number of components (int32), the mean (unused here, as in
    Deep3DFaceReconstruction), then the components, float32.
    """
    path = folder / "Exp_Pca.bin"
    size = path.stat().st_size
    found = int(np.fromfile(path, "<i4", 1)[0]) if size >= 4 else 0
    expected = 4 * (1 + 3 * vertices * (found + 1))
    if found < count or size != expected:
        raise UserError(
            f"{path}: must hold at least {count} components of {vertices} vertices and {expected} bytes for the "
            f"{found} components it declares, got {size} bytes"
        )
    numbers = folder / DEVIATIONS
    try:
        deviations = np.array(numbers.read_text(encoding="ascii").split(), np.float64)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{numbers}: must hold numbers, got something else ({error})") from None
    if deviations.size != found or not (deviations > 0).all():
        raise UserError(
            f"{numbers}: must hold {found} positive numbers, a standard deviation for each component of {path.name}, "
            f"got {deviations.size} numbers"
        )
    components = np.fromfile(path, "<f4", count * 3 * vertices, offset=4 * (1 + 3 * vertices))
    return components.reshape(count, vertices, 3) * deviations[:count, None, None]


def _skin(folder: Path, info: MatFile, cropped_to_full: np.ndarray | None, count: int) -> np.ndarray:
    segments = folder / SEGMENTS
    if segments.is_file() and cropped_to_full is not None:
        values = MatFile(segments).numbers("face05_4seg")
        if values.size <= cropped_to_full.max():
            raise UserError(f"{segments}: must have a value for each vertex of the full model, got {values.size}")
        return values[cropped_to_full] == SKIN_SEGMENT
    return info.numbers("skinmask", count) > 0.5


def _mirror(folder: Path, shape: np.ndarray, cropped_to_full: np.ndarray | None) -> np.ndarray:
    path = folder / PAIRS
    if not path.is_file() or cropped_to_full is None:
        return mirror_by_position(shape)
    try:
        pairs = np.loadtxt(path, dtype=np.int64, ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: must hold two whole numbers per line, got something else ({error})") from None
    if pairs.shape[1] != 2 or pairs.min() < 0 or pairs.max() > FULL:  # counted from 0 or from 1
        got = f"{list(pairs.shape)} numbers" + (f" from {pairs.min()} to {pairs.max()}" if pairs.size else "")
        raise UserError(f"{path}: must hold pairs of the full model's {FULL:,} vertices, got {got}")
    # Some copies of this list are 0-based, others 1-based; the mean face decides.
    candidates = [_cropped_pairs(pairs - base, cropped_to_full) for base in (0, 1) if pairs.min() >= base]
    errors = [np.abs(shape[p[:, 0]] * [-1, 1, 1] - shape[p[:, 1]]).mean() if len(p) else np.inf for p in candidates]
    best = int(np.argmin(errors))
    if not errors[best] < MIRRORED * np.ptp(shape, axis=0).max():
        raise UserError(f"{path}: must pair vertices of the left with those of the right, got pairs that do not mirror")
    try:
        return mirror_from_pairs(candidates[best], len(shape))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _cropped_pairs(pairs: np.ndarray, cropped_to_full: np.ndarray) -> np.ndarray:
    """Converts pairs [P, 2] of F vertices to pairs of C vertices, without those that were cropped away."""
    place = np.full(max(pairs.max(), cropped_to_full.max()) + 1, -1)
    place[cropped_to_full] = np.arange(len(cropped_to_full))
    cropped = place[pairs]
    return cropped[(cropped >= 0).all(axis=1)]


def _vertices(numbers: np.ndarray, path: Path) -> np.ndarray:
    """[N, 3] vertices from interleaved coordinates."""
    if numbers.size % 3:
        raise UserError(f"{path}: coordinates must come in threes, got {numbers.size} numbers")
    return numbers.reshape(-1, 3).astype(np.float64)


def _basis(columns: np.ndarray) -> np.ndarray:
    """[K, N, 3] basis from a matrix [3 N, K] with interleaved coordinates."""
    return columns.T.reshape(columns.shape[1], -1, 3)
