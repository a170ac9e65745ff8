"""The tiny face model behind the reference numbers of face_decoder and pipeline, in the program's conventions."""

import dataclasses
import functools

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.landmark_files import nearest_vertices
from tests.support.faces import built_in_face
from tests.support.helpers import golden


@functools.cache
def golden_face_model() -> FaceModel:
    """`reference_face_model` with landmarks where a face has them, and with pairs of mirrored vertices.

    Those of the file are random vertices, and it has no pairs.
    """
    source, model = built_in_face(2000), reference_face_model()
    landmarks = nearest_vertices(model.mean_shape, source.mean_shape[source.landmarks])
    return dataclasses.replace(model, landmarks=landmarks, mirror_index=np.arange(model.vertex_count) ^ 1)


@functools.cache
def reference_face_model() -> FaceModel:
    """220 vertices, coefficients 80 + 64 + 80; the file counts from 1, in 0..255, and leaves the mean off centre."""
    arrays = {name.removeprefix("model/"): array for name, array in golden("face_decoder").items()}
    count = arrays["skin_mask"].size
    mean_shape = arrays["mean_shape"].reshape(count, 3).astype(np.float64)

    def basis(name):
        return arrays[name].T.reshape(-1, count, 3)

    return FaceModel(
        name="golden",
        mean_shape=mean_shape - mean_shape.mean(axis=0),
        identity_basis=basis("id_basis"),
        expression_basis=basis("exp_basis"),
        mean_albedo=arrays["mean_texture"].reshape(count, 3) / 255,
        albedo_basis=basis("tex_basis") / 255,
        triangles=arrays["tri_1based"] - 1,
        landmarks=arrays["keypoints_1based"][0] - 1,
        skin_mask=arrays["skin_mask"][0] == 1,
        front_mask=np.isin(np.arange(count), arrays["front_mask_idx_1based"] - 1),
        mirror_index=np.arange(count),
        uv=np.zeros((count, 2)),
    )


def small_face_model(**changes) -> FaceModel:
    """A tent of five vertices with 2 + 1 + 2 coefficients; `changes` replace its fields."""
    generator = np.random.default_rng(0)
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [0, 0, 1]], np.float64)
    fields = {
        "name": "tent",
        "mean_shape": vertices - vertices.mean(axis=0),
        "identity_basis": generator.normal(size=(2, 5, 3)) * 0.05,
        "expression_basis": generator.normal(size=(1, 5, 3)) * 0.05,
        "mean_albedo": generator.uniform(0.3, 0.7, size=(5, 3)),
        "albedo_basis": generator.normal(size=(2, 5, 3)) * 0.02,
        "triangles": np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]),
        "landmarks": np.arange(68) % 5,
        "skin_mask": np.array([True, True, False, True, True]),
        "front_mask": np.array([False, False, False, False, True]),
        "mirror_index": np.array([1, 0, 3, 2, 4]),
        "uv": vertices[:, :2] / 2 + 0.5,
        "regions": {"tip": np.array([0, 0, 0, 0, 1.0])},
        "expression_names": ("smile",),
    }
    return FaceModel(**(fields | changes))
