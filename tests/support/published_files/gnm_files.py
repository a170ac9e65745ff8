"""GNM Head's file in its publishers' layout, made up from a known face model with a cornea and a back of the head."""

from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel

IDENTITY = [("head", 170), ("eyes", 3), ("teeth", 80)]
EXPRESSION = [("left_eye_region", 100), ("right_eye_region", 100), ("lower_face_region", 150), ("tongue", 32)]
# Where the published table has the jaw's points 2 to 6: in reverse.
JAW_ORDER = [0, 1, 6, 5, 4, 3, 2, *range(7, 68)]


def gnm_arrays(model: FaceModel, part: float = 1.0) -> dict[str, np.ndarray]:
    """The arrays of a file whose face is a model's.

    Vertices of the model come first and in order, then a cornea over each eye, then a ring behind the head. Eyes and
    teeth are meshes of their own: triangles that join them with the rest are left out.

    Args:
      model: with regions "eye", "iris", "pupil", "lips", "mouth_inside" and "teeth".
      part: share of the published number of modes.
    """
    shape = model.mean_shape.astype(np.float64)
    count = len(shape)
    eye = np.flatnonzero(model.regions["eye"] > 0.5)
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([0.8 * np.sin(turn), 0.8 * np.cos(turn), np.full(16, -3.0)], axis=1)
    vertices = np.concatenate([shape, shape[eye] + (0, 0, 0.02), ring])
    of_eye = np.full(count, -1)
    of_eye[eye] = count + np.arange(len(eye))
    cornea = of_eye[model.triangles[(of_eye[model.triangles] >= 0).all(axis=1)]]
    back = count + len(eye) + np.arange(16)
    fan = np.stack([np.full(14, back[0]), back[2:], back[1:-1]], axis=1)
    parts = np.stack([model.regions[name][model.triangles] > 0.5 for name in ("eye", "teeth")])
    own = model.triangles[(parts.all(axis=2) | ~parts.any(axis=2)).all(axis=0)]
    triangles = np.concatenate([own, cornea, fan])
    mirror = np.concatenate([model.mirror_index, of_eye[model.mirror_index[eye]], back[-np.arange(16) % 16]])
    padded = np.pad(model.uv, ((0, len(eye) + 16), (0, 0)))

    def group(values: np.ndarray, on_cornea: np.ndarray | float = 0.0) -> np.ndarray:
        return np.concatenate([values, np.broadcast_to(on_cornea, len(eye)), np.zeros(16)])

    is_eye, inside = (model.regions[name] > 0.5 for name in ("eye", "mouth_inside"))
    left = shape[:, 0] > 0
    skin = group(1.0 * ~is_eye)
    skin[-16:] = 1
    groups = {
        "skin": skin,
        "mouth_sock": group(1.0 * inside),
        "left_eye": group(1.0 * (is_eye & left), 1.0 * left[eye]),
        "right_eye": group(1.0 * (is_eye & ~left), 1.0 * ~left[eye]),
        "eye_exteriors": group(np.zeros(count), 1.0),
        "irises": group(model.regions["iris"]),
        "pupils": group(model.regions["pupil"]),
        "teeth": group(model.regions["teeth"]),
        "tongue": group(np.zeros(count)),
        "upper_lip": group(model.regions["lips"] * (shape[:, 1] > -0.3)),
        "lower_lip": group(model.regions["lips"] * (shape[:, 1] <= -0.3)),
    }
    identity, identity_names = _modes(IDENTITY, model.identity_basis, len(vertices), part)
    expression, expression_names = _modes(EXPRESSION, model.expression_basis, len(vertices), part)
    return {
        "version": np.array("3.0"),
        "template_vertex_positions": (vertices + (0.0, 30.0, 5.0)) / 10,
        "vertex_identity_basis": identity / 10,
        "identity_names": np.array(identity_names),
        "expression_basis": expression / 10,
        "expression_names": np.array(expression_names),
        "triangles": triangles,
        "triangle_uvs": padded[triangles],
        "mirror_indices": mirror,
        "vertex_groups": np.array(list(groups.values()), np.float32),
        "vertex_group_names": np.array(list(groups)),
    }


def _modes(kinds: list[tuple[str, int]], basis: np.ndarray, count: int, part: float) -> tuple[np.ndarray, list[str]]:
    """[K, count, 3] whose kinds each begin with the model's own modes; and their names."""
    names = [f"{kind}_{number:03d}" for kind, full in kinds for number in range(max(1, round(full * part)))]
    modes = np.zeros((len(names), count, 3), np.float32)
    for row, name in enumerate(names):
        number = int(name[-3:])
        if number < len(basis):
            modes[row, : basis.shape[1]] = basis[number]
    return modes, names


def write_gnm(folder: Path, arrays: dict[str, np.ndarray], landmarks: np.ndarray | None = None) -> Path:
    """Writes the model and, for landmark vertices [68], the publishers' table; returns the model's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gnm_head.npz"
    np.savez_compressed(path, **arrays)
    if landmarks is not None:
        rows = [f"{v} 0.8 {v} 0.1 {v} 0.1" for v in np.asarray(landmarks)[JAW_ORDER]]
        (folder / "head_sparse_68.txt").write_text("\n".join(rows) + "\n")
    return path
