"""Face models in their publishers' forms, written from a known model: Basel 2019, FLAME, and a mesh of one's own."""

import json
from pathlib import Path

import h5py
import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.formats.statismo import NAMED
from lib.face_model_files.landmark_files import FILE


def write_obj(path: Path, vertices, triangles) -> None:
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices]
    path.write_text("\n".join(lines + [f"f {a} {b} {c}" for a, b, c in np.asarray(triangles) + 1]) + "\n")


def write_statismo(path: Path, model: FaceModel, expression_mean: np.ndarray) -> None:
    """Millimetres, unit columns and variances, triangles in columns, named points."""
    with h5py.File(path, "w") as data:
        for part, mean, basis, unit in (
            ("shape", model.mean_shape, model.identity_basis, 100.0),
            ("expression", expression_mean, model.expression_basis, 100.0),
            ("color", model.mean_albedo, model.albedo_basis, 1.0),
        ):
            columns = basis.reshape(len(basis), -1).T.astype(np.float64) * unit
            deviation = np.linalg.norm(columns, axis=0)
            data[f"{part}/model/mean"] = mean.astype(np.float32).ravel() * np.float32(unit)
            data[f"{part}/model/pcaBasis"] = (columns / deviation).astype(np.float32)
            data[f"{part}/model/pcaVariance"] = (deviation**2).astype(np.float32)
            data[f"{part}/representer/cells"] = model.triangles.T
        points = model.mean_shape[model.landmarks].astype(float) * 100
        named = [{"id": name, "coordinates": points[number].tolist()} for name, number in NAMED.items()]
        text = json.dumps([*named, {"id": "left.ear.lobule.tip", "coordinates": [70.0, -10.0, -60.0]}])
        data["metadata/landmarks/json"] = np.array([text.encode()], dtype=h5py.string_dtype())


def write_flame(path: Path, model: FaceModel, **more) -> None:
    directions = np.zeros((model.vertex_count, 3, 400))
    directions[..., : len(model.identity_basis)] = np.moveaxis(model.identity_basis, 0, -1) / 10
    directions[..., 300 : 300 + len(model.expression_basis)] = np.moveaxis(model.expression_basis, 0, -1) / 10
    arrays = {"v_template": model.mean_shape / 10.0, "shapedirs": directions, "f": model.triangles.astype(np.uint32)}
    np.savez(path, **(arrays | more))


def corners_of(model: FaceModel, first: int) -> dict[str, np.ndarray]:
    """Landmarks from `first` on as points on triangles."""
    faces = np.array([np.flatnonzero((model.triangles == v).any(axis=1))[0] for v in model.landmarks[first:]])
    weights = (model.triangles[faces] == model.landmarks[first:, None]).astype(float)
    kind = "static" if first else "full"
    return {f"{kind}_lmk_faces_idx": faces, f"{kind}_lmk_bary_coords": weights}


def turned(points: np.ndarray) -> np.ndarray:
    """Centimetres, z up, somewhere else."""
    return points[:, [0, 2, 1]] * [1.0, -1.0, 1.0] * 10 + [3.0, 4.0, 170.0]


def write_template(folder: Path, model: FaceModel) -> None:
    folder.mkdir()
    write_obj(folder / "template.obj", turned(model.mean_shape), model.triangles)
    (folder / FILE).write_text("# jaw\n" + "\n".join(f"{v}  # {i}" for i, v in enumerate(model.landmarks)))
