"""Stand-ins for the licensed files of configs/paper.yaml, under their publishers' names."""

import numpy as np
import tensorflow as tf

from tests.support.published_files.basel_files import Indices, write_raw
from tests.support.published_files.frozen_graphs import frozen

COLUMNS, ROWS = 37, 43  # vertices of the stand-in face


def face_grid() -> tuple[np.ndarray, np.ndarray]:
    """Vertices [N, 3] of a bulged sheet of a face's size, dm, and its triangles [F, 3], counter-clockwise in front."""
    u, v = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(-1, 1, ROWS))
    shape = np.stack([0.75 * u, 0.95 * v, 0.4 * (2 - u**2 - v**2)], axis=-1).reshape(-1, 3)
    number = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    return shape, np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])


def write_stand_ins(folder) -> None:
    """The licensed files under their publishers' names: a small Basel model, and both networks as frozen graphs."""
    shape, triangles = face_grid()
    generator, count = np.random.default_rng(0), len(shape)
    expression_to_full = np.sort(generator.choice(count + 80, count + 40, replace=False))
    cropped = np.sort(generator.choice(count + 40, count, replace=False))
    info = {
        "tri": triangles + 1.0,
        "keypoints": generator.integers(1, count + 1, (1, 68)).astype(np.float32),
        "skinmask": (np.abs(shape[None, :, 1]) < 0.8).astype(np.float32),
        "frontmask2_idx": np.arange(1, count + 1, dtype=np.float32)[:, None],
    }
    indices = Indices(count + 80, expression_to_full, cropped, info)
    full_shape, full_albedo = np.zeros((count + 80, 3)), np.full((count + 80, 3), 150.0)
    full_shape[indices.cropped_to_full] = shape * 1e5  # micrometres
    write_raw(folder, indices, shapeMU=full_shape.reshape(-1, 1), texMU=full_albedo.reshape(-1, 1))

    def blocks(picture):  # 8 x 8 mean colours
        size = picture.shape[1] // 8
        return tf.reshape(tf.nn.avg_pool2d(picture, size, size, "VALID"), [-1, 192])

    def matrix(outputs, scale):
        return tf.constant(scale * generator.normal(size=(192, outputs)), tf.float32)

    coefficients, features, identity = matrix(257, 3e-5), matrix(2048, 1e-3), matrix(1792, 0.1)
    frozen(
        folder / "FaceReconModel.pb",
        lambda picture: (blocks(picture) @ coefficients, (blocks(picture) @ features)[:, None, None, :]),
        224,
        "input_imgs",
        ["coeff", "resnet_v1_50/pool5"],
    )
    frozen(
        folder / "FaceNetModel.pb",
        lambda picture: (blocks(picture) @ identity)[:, None, None, :],
        160,
        "input",
        ["InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool"],
    )
