"""The Basel Face Model's files with made-up numbers: every array, unit, order and offset as published."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from lib.face_model.face_model import FaceModel


@dataclass(frozen=True)
class Indices:
    """0-based indices from the full model F over the expression model E to the cropped one C, and the arrays of C."""

    full: int
    expression_to_full: np.ndarray
    cropped_to_expression: np.ndarray
    info: dict[str, np.ndarray]

    @property
    def cropped_to_full(self) -> np.ndarray:
        return self.expression_to_full[self.cropped_to_expression]


def small_indices() -> Indices:
    """60 vertices, of which 50 have expressions and 40 are kept."""
    generator = np.random.default_rng(0)
    expression_to_full = np.sort(generator.choice(60, 50, replace=False))
    cropped = np.sort(generator.choice(50, 40, replace=False))
    triangles = np.stack([generator.choice(40, 3, replace=False) for _ in range(70)])
    info = {
        "tri": triangles + 1.0,
        "keypoints": generator.integers(1, 41, (1, 68)).astype(np.float32),
        "skinmask": (np.arange(40)[None] % 3 == 0).astype(np.float32),
        "frontmask2_idx": np.arange(5, 30)[:, None].astype(np.float32),
    }
    return Indices(60, expression_to_full, cropped, info)


def published_indices(folder: Path) -> Indices:
    """From the publishers' own index files."""
    names = ("BFM_exp_idx", "BFM_front_idx", "facemodel_info")
    load = {name: scipy.io.loadmat(folder / f"{name}.mat") for name in names}
    info = {key: load["facemodel_info"][key] for key in ("tri", "keypoints", "skinmask", "frontmask2_idx")}
    trim = load["BFM_exp_idx"]["trimIndex"].ravel().astype(np.int64) - 1
    return Indices(53490, trim, load["BFM_front_idx"]["idx"].ravel().astype(np.int64) - 1, info)


def write_raw(
    folder: Path, indices: Indices, components: int = 199, seed: int = 0, **given: np.ndarray
) -> dict[str, np.ndarray]:
    """Writes all raw files with random numbers, but for those `given`; returns the arrays that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    rows, expressions = 3 * indices.full, 79
    arrays = {
        "shapeMU": generator.normal(0, 60_000, (rows, 1)).astype(np.float32),
        "shapePC": generator.standard_normal((rows, components), np.float32),
        "shapeEV": generator.uniform(100, 1000, (components, 1)).astype(np.float32),
        "texMU": generator.uniform(0, 255, (rows, 1)).astype(np.float32),
        "texPC": generator.standard_normal((rows, components), np.float32),
        "texEV": generator.uniform(1, 10, (components, 1)).astype(np.float32),
    } | given
    scipy.io.savemat(folder / "01_MorphableModel.mat", arrays)
    expression_rows = 3 * len(indices.expression_to_full)
    mean = generator.standard_normal(expression_rows, np.float32)
    basis = generator.standard_normal((expressions, expression_rows), np.float32)
    with open(folder / "Exp_Pca.bin", "wb") as stream:
        stream.write(np.array(expressions, "<i4").tobytes())
        stream.write(mean.astype("<f4").tobytes() + basis.astype("<f4").tobytes())
    deviations = generator.uniform(100, 1000, expressions)
    (folder / "std_exp.txt").write_text(" ".join(f"{value:.6f}" for value in deviations))
    trimmed = (indices.expression_to_full[:, None] + 1).astype(np.uint16)
    scipy.io.savemat(folder / "BFM_exp_idx.mat", {"trimIndex": trimmed})
    front = (indices.cropped_to_expression[:, None] + 1).astype(np.float32)
    scipy.io.savemat(folder / "BFM_front_idx.mat", {"idx": front})
    selected = (indices.cropped_to_full[:, None] + 1).astype(np.uint16)
    scipy.io.savemat(folder / "select_vertex_id.mat", {"select_id": selected})
    scipy.io.savemat(folder / "facemodel_info.mat", indices.info)
    return arrays | {"expPC": basis, "expEV": np.round(deviations, 6)}


def write_ready(path: Path, model: FaceModel, info: dict[str, np.ndarray]) -> None:
    """Writes a converted model as Deep3DFaceReconstruction does; `info` has the arrays of facemodel_info.mat."""
    centre = 0.3  # the file's mean is not centred
    arrays = {
        "meanshape": (model.mean_shape + centre).reshape(1, -1),
        "idBase": model.identity_basis.reshape(len(model.identity_basis), -1).T,
        "exBase": model.expression_basis.reshape(len(model.expression_basis), -1).T,
        "meantex": 255 * model.mean_albedo.reshape(1, -1),
        "texBase": 255 * model.albedo_basis.reshape(len(model.albedo_basis), -1).T,
    }
    kept = ("tri", "keypoints", "skinmask", "frontmask2_idx")
    scipy.io.savemat(path, arrays | {key: info[key] for key in kept})
