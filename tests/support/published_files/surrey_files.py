"""The Surrey Face Model's files, written from a known model in the layout of the eos library."""

import struct
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.formats.surrey import MARKS, STRENGTH

MODEL = "sfm_shape_3448.bin"
NO_COLOUR = struct.pack("<6iQ", 0, 1, 0, 0, 0, 1, 0)  # as in the public file
NOTHING, THERE = b"\x01", b"\x00"


def matrix(values: np.ndarray) -> bytes:
    values = np.atleast_2d(values.T).T
    return struct.pack("<2i", *values.shape) + values.T.astype("<f4").tobytes()


def rows(values: np.ndarray, dtype: str) -> bytes:
    return struct.pack("<Q", len(values)) + values.astype(dtype).tobytes()


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def linear(mean: np.ndarray, basis: np.ndarray, triangles: np.ndarray, unit: float) -> bytes:
    """Unit columns and their variances."""
    columns = basis.reshape(len(basis), -1).T.astype(np.float64) * unit
    deviation = np.linalg.norm(columns, axis=0)
    parts = mean.astype(np.float64).ravel() * unit, columns / deviation, deviation**2
    return b"".join(map(matrix, parts)) + rows(triangles, "<i4")


def shape_of(model: FaceModel, shift=(0.0, 0.0, 0.0)) -> bytes:
    return linear(model.mean_shape + np.array(shift), model.identity_basis, model.triangles, 100.0)


def chart_of(model: FaceModel) -> bytes:
    return rows(model.uv * [1.0, -1.0] + [0.0, 1.0], "<f8")


def blendshapes(model: FaceModel, names: tuple[str, ...]) -> bytes:
    shapes = zip(names, model.expression_basis, strict=False)
    return struct.pack("<Q", len(names)) + b"".join(text(n) + matrix(s.ravel() * 100 / STRENGTH) for n, s in shapes)


def marks_of(model: FaceModel) -> str:
    """All but the jaw's sides and the inner corners of the mouth, as published."""
    missing = {*range(1, 9), *range(10, 18), 61, 65}
    lines = [f"{k} = {v}  # a place" for k, v in enumerate(model.landmarks, 1) if k not in missing]
    return "# TOML\n[landmark_mappings]\n" + "\n".join(lines) + "\n[contour_landmarks]\nright = [ 1, 2 ]\n"


def write_public(folder: Path, model: FaceModel) -> Path:
    """The files of the public model; off the middle as a mean of scans is."""
    folder.mkdir(exist_ok=True)
    (folder / MARKS).write_text(marks_of(model))
    content = struct.pack("<I", 1) + shape_of(model, (-0.001, 0.2, -0.3)) + NO_COLOUR + chart_of(model)
    (folder / MODEL).write_bytes(content)
    return folder / MODEL
