"""GNM Head (Google, Apache-2.0; Ploumpis et al. 2026, arXiv 2607.23687) from its .npz; the names are its publishers'.

    template_vertex_positions  [V, 3] neutral head, metres, y up, z out of the face, x to the subject's left
    vertex_identity_basis      [I, V, 3] displacements for one standard deviation; identity_names [I]
    expression_basis           [E, V, 3] likewise; expression_names [E]
    triangles                  [T, 3] from 0; triangle_uvs [T, 3, 2]: each part fills the unit square
    mirror_indices             [V]
    vertex_groups              [G, V] weights in [0, 1]; vertex_group_names [G]

Version 3.0 has V = 17,821, I = 253, E = 383, T = 35,324 and G = 46. Its landmarks are in a text file of its own with
three vertices and their weights in each of 68 lines (`i0 w0 i1 w1 i2 w2`); a `landmarks.txt` takes precedence.

Kept are the face, the inside of the mouth, the eyeballs without their corneas, teeth and tongue. Of the modes, those
are kept that a photo can show. They are principal components of regions with both signs and without names of
movements. GNM's joints are not used: a `FaceModel` is linear.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.assembly import FACE_REACH
from lib.face_model_files.correspondence import Correspondence, find_correspondence
from lib.face_model_files.inner_parts import head_albedo, head_regions, is_inner
from lib.face_model_files.landmark_files import FILE, nearest_vertices, read_landmarks
from lib.files.folders import visible_files
from lib.files.numpy_files import DamagedFile, array_names, read_npz
from lib.human_head.chart import above_row, fitted, in_cell, upright

NAME = "GNM Head"
DECIMETRES = 10.0  # in a metre
SPARSE = "head_sparse_68.txt"
SOURCE = "https://github.com/google/GNM"
# Modes kept, by the beginnings of their names, and how many at most.
IDENTITY = {"head_": 100}
EXPRESSION = {"left_eye_region_": 20, "right_eye_region_": 20, "lower_face_region_": 50}
_NEEDED = (
    "template_vertex_positions", "vertex_identity_basis", "identity_names", "expression_basis", "expression_names",
    "triangles", "triangle_uvs", "mirror_indices", "vertex_groups", "vertex_group_names",
)  # fmt: skip
_RECOGNISED = {"template_vertex_positions", "vertex_identity_basis"}
# Parts with an island of their own in the chart -> cell of the chart, subject's right eye first.
_CELLS = {"right_eye": "eye 0", "left_eye": "eye 1", "teeth_and_gums": "teeth", "tongue": "tongue"}
_LIPS_INSIDE = 62  # landmark at the inner border of the upper lip


def find_gnm(path: Path) -> Path | None:
    """The model's file: the path itself or an .npz in the folder that holds GNM's arrays; None if there is none."""
    path = Path(path)
    for file in [path] if path.is_file() else visible_files(path, ".npz"):
        if file.suffix.lower() == ".npz" and array_names(file) >= _RECOGNISED:
            return file
    return None


def gnm_tables(path: Path) -> list[Path]:
    """The publishers' tables of landmarks, the first of which counts.

    Beside the model, or where a clone of their repository has it (versions/v3_0/ and landmarks/).
    """
    folder = path.parent if path.is_file() else path
    return [table for table in (folder / SPARSE, folder.parent.parent / "landmarks" / SPARSE) if table.is_file()]


def load_gnm(path: Path, source: FaceModel) -> FaceModel:
    """Loads the face of GNM's head with its inner parts, and the albedo of another model.

    Args:
      path: the .npz, or its folder.
      source: model from which albedo, regions of the skin and masks are transferred.

    Raises:
      UserError: the file's arrays are not GNM's, or the landmarks are missing.
    """
    file = find_gnm(path)
    if file is None:
        raise UserError(f"{path}: must be an .npz with {', '.join(_NEEDED)}, or a folder with one, got none")
    head = _read(file)
    landmarks, marks = _landmarks(file, head)
    no_mirror = np.arange(len(head.shape))
    match = find_correspondence(marks, head.shape, head.triangles, landmarks, no_mirror, source)
    near = match.distance < FACE_REACH
    near[landmarks] = True
    skin = head.group("skin") > 0.5
    kept = (np.where(skin & (head.group("mouth_sock") < 0.5), near, True)) & (head.group("eye_exteriors") < 0.5)
    kept &= kept[head.mirror]
    inside = kept[head.triangles].all(axis=1)
    used = np.zeros(len(kept), bool)
    used[head.triangles[inside]] = True
    used &= used[head.mirror]
    inside &= used[head.triangles].all(axis=1)
    if not used[landmarks].all():
        raise UserError(
            f"{marks}: landmarks must lie on the face's skin, got one on vertex {landmarks[~used[landmarks]][0]}, "
            "which is not part of it (are the numbers those of another model?)"
        )
    try:
        return _face_model(head, used, inside, landmarks, source)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error


@dataclass(frozen=True)
class _Head:
    """The arrays of the file that are used, in decimetres and float64; only the modes that are kept."""

    shape: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    triangles: np.ndarray
    corner_uv: np.ndarray
    mirror: np.ndarray
    groups: dict[str, np.ndarray]

    def group(self, *names: str) -> np.ndarray:
        """[V] largest weight in any of these groups; groups that the file lacks are empty."""
        return np.maximum.reduce([self.groups.get(name, np.zeros(len(self.shape))) for name in names])


def _read(file: Path) -> _Head:
    """Reads and checks the arrays."""
    try:
        arrays = read_npz(file, _NEEDED)
    except (DamagedFile, OSError) as error:
        raise UserError(f"{file}: must hold {NAME}'s plain arrays {', '.join(_NEEDED)}, got {error}") from None
    if single := [name for name in _NEEDED if not arrays[name].ndim]:
        raise UserError(f"{file}: '{single[0]}' must be an array, got a single value")
    vertices, triangles = (len(arrays[name]) for name in ("template_vertex_positions", "triangles"))
    names = {kind: [str(name) for name in arrays[f"{kind}_names"]] for kind in ("identity", "expression")}
    groups = [str(name) for name in arrays["vertex_group_names"]]
    for name, shape in {
        "template_vertex_positions": (vertices, 3),
        "vertex_identity_basis": (len(names["identity"]), vertices, 3),
        "expression_basis": (len(names["expression"]), vertices, 3),
        "triangles": (triangles, 3),
        "triangle_uvs": (triangles, 3, 2),
        "mirror_indices": (vertices,),
        "vertex_groups": (len(groups), vertices),
    }.items():
        if arrays[name].shape != shape:
            raise UserError(f"{file}: '{name}' must be {list(shape)}, got {list(arrays[name].shape)}")
        if not arrays[name].size:
            raise UserError(f"{file}: '{name}' must not be empty, got {list(shape)}")
        if arrays[name].dtype.kind not in "fiu" or not np.isfinite(arrays[name]).all():
            raise UserError(f"{file}: '{name}' must be finite numbers, got others")
    for name in ("triangles", "mirror_indices"):
        low, high = arrays[name].min(), arrays[name].max()
        if low < 0 or high >= vertices:
            raise UserError(f"{file}: '{name}' must lie within 0..{vertices - 1}, got {low}..{high}")
    mirror = arrays["mirror_indices"].astype(np.int64)
    if wrong := int((mirror[mirror] != np.arange(vertices)).sum()):
        raise UserError(
            f"{file}: 'mirror_indices' must be an involution, got {wrong} vertices whose image is not theirs"
        )
    if missing := {"skin", "left_eye", "right_eye", "tongue", "teeth"} - set(groups):
        raise UserError(f"{file}: 'vertex_group_names' must hold {', '.join(sorted(missing))}, got {', '.join(groups)}")
    return _Head(
        shape=arrays["template_vertex_positions"].astype(np.float64) * DECIMETRES,
        identity=_modes(file, arrays["vertex_identity_basis"], names["identity"], IDENTITY)[0],
        expression=(moves := _modes(file, arrays["expression_basis"], names["expression"], EXPRESSION))[0],
        expression_names=moves[1],
        triangles=arrays["triangles"].astype(np.int64),
        corner_uv=arrays["triangle_uvs"].astype(np.float64),
        mirror=mirror,
        groups=dict(zip(groups, arrays["vertex_groups"].astype(np.float64), strict=True)),
    )


def _modes(file: Path, basis: np.ndarray, names: list[str], kept: dict[str, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The first modes of each kind [K, V, 3] in decimetres, and their names."""
    chosen: list[int] = []
    for start, count in kept.items():
        own = [number for number, name in enumerate(names) if name.startswith(start)][:count]
        if not own:
            raise UserError(f"{file}: the modes' names must begin with {', '.join(kept)}, got none of {start}")
        chosen += own
    return basis[chosen].astype(np.float64) * DECIMETRES, tuple(names[number] for number in chosen)


def _landmarks(file: Path, head: _Head) -> tuple[np.ndarray, Path]:
    """[68] vertices of the outer skin, and their file: `landmarks.txt` or the publishers' table."""
    if (own := file.parent / FILE).is_file():
        return read_landmarks(own, head.shape / DECIMETRES), own
    if not (tables := gnm_tables(file)):
        raise UserError(
            f"{file}: must have {SPARSE} of {SOURCE} (gnm/shape/data/landmarks) or a {FILE} beside it, got neither; "
            "copy the file there"
        )
    table = tables[0]
    wanted = f"{LANDMARKS} lines of three vertices and their weights (i0 w0 i1 w1 i2 w2)"
    try:
        rows = np.array(
            [line.split() for line in table.read_text(encoding="utf-8").splitlines() if line.strip()], float
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{table}: must have {wanted}, got others ({error})") from None
    if rows.shape != (LANDMARKS, 6) or not np.isfinite(rows).all():
        raise UserError(f"{table}: must have {wanted}, got {' x '.join(map(str, rows.shape))} numbers")
    corners, weights = rows[:, ::2].astype(np.int64), rows[:, 1::2]
    if corners.min() < 0 or corners.max() >= len(head.shape):
        raise UserError(
            f"{table}: vertices must lie within 0..{len(head.shape) - 1}, got {corners.min()}..{corners.max()}"
        )
    points = _ordered_jaw((head.shape[corners] * weights[..., None]).sum(axis=1))
    skin = np.flatnonzero((head.group("skin") > 0.5) & (head.group("mouth_sock") < 0.5))
    return skin[nearest_vertices(head.shape[skin], points)], table


def _ordered_jaw(points: np.ndarray) -> np.ndarray:
    """[68, 3] with the jaw's points from the ear at the image's left over the chin (8) to the other ear.

    The publishers' table lists five points of one side in reverse. Between ear and chin, order is height.
    """
    ordered = points.copy()
    ordered[:8] = points[:8][np.argsort(-points[:8, 1], kind="stable")]
    ordered[9:17] = points[9:17][np.argsort(points[9:17, 1], kind="stable")]
    return ordered


def _face_model(
    head: _Head, kept: np.ndarray, inside: np.ndarray, landmarks: np.ndarray, source: FaceModel
) -> FaceModel:
    """Cuts to the vertices kept [V] and the triangles inside [T], and adds what the model lacks.

    Raises:
      ValueError: a part of the face model is inconsistent.
    """
    new = np.cumsum(kept) - 1
    shape = head.shape[kept]
    shape = shape - shape.mean(axis=0)
    triangles, mirror, marks = new[head.triangles[inside]], new[head.mirror[kept]], new[landmarks]
    match = Correspondence(shape, triangles, marks, mirror, source)
    carried = match.regions()
    own = {
        "eye": head.group("left_eye", "right_eye"),
        "iris": head.group("irises", "pupils"),
        "pupil": head.group("pupils"),
        "teeth": head.group("teeth"),
        "tongue": head.group("tongue"),
        "mouth_inside": head.group("mouth_sock", "gums", "tongue", "upper_teeth_and_gums", "lower_teeth_and_gums"),
        "lips": head.group("upper_lip", "lower_lip"),
        "sockets": np.zeros(len(kept)),
    }
    own = {name: np.clip(weight, 0, 1)[kept] for name, weight in own.items()}
    inner = is_inner(own)
    own["lips"] *= ~inner
    own["nostril"] = carried.get("nostril", np.zeros(len(shape))) * ~inner
    regions = head_regions(own, match, inner)
    mean_albedo, albedo_basis = head_albedo(own, shape, shape[marks[_LIPS_INSIDE], 2], match, regions)
    front = match.mask(source.front_mask) & (match.distance < FACE_REACH) & ~inner
    return FaceModel(
        name=NAME,
        mean_shape=shape,
        identity_basis=head.identity[:, kept],
        expression_basis=head.expression[:, kept],
        mean_albedo=mean_albedo,
        albedo_basis=albedo_basis,
        triangles=triangles,
        landmarks=marks,
        skin_mask=match.mask(source.skin_mask) & ~inner & (own["lips"] < 0.5),
        front_mask=front | ((own["eye"] > 0.5) & (own["iris"] > 0)),
        mirror_index=mirror,
        uv=_chart(head, kept, inside, new),
        regions=regions,
        expression_names=head.expression_names,
    )


def _chart(head: _Head, kept: np.ndarray, inside: np.ndarray, new: np.ndarray) -> np.ndarray:
    """[N, 2]: the skin's island above a row of cells with one for each part.

    A vertex on a seam takes the coordinates of one of its triangles. Where that matters, exports unwrap the mesh.
    """
    uv = np.zeros((int(kept.sum()), 2))
    uv[new[head.triangles[inside]]] = head.corner_uv[inside]
    groups = {name: head.group(name)[kept] > 0.5 for name in ("left_eye", "right_eye", "tongue")}
    gums = head.group("teeth", "gums", "upper_teeth_and_gums", "lower_teeth_and_gums")[kept] > 0.5
    arranged = np.zeros_like(uv)
    skin = np.ones(len(uv), bool)
    for name, part in (groups | {"teeth_and_gums": gums}).items():
        if part.any():
            arranged[part] = in_cell(fitted(uv[part]), _CELLS[name])
        skin &= ~part
    arranged[skin] = above_row(upright(uv[skin], head.shape[kept][skin]))
    return arranged
