"""Targets for the albedo texture on synthetic crops: the true albedo of the skin that the crop shows at each vertex.

Predicted coefficients misplace the mesh by a pixel or two, so vertex i of the predicted face does not lie on the same
point of the skin as vertex i of the true face. If vertex i's true albedo were the target, a network would learn to
blur, because it cannot know how far each eyebrow or beard hair is displaced. With the albedo of the skin visible at the
predicted position as target, it can keep all detail of the photo and only has to remove the light.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lib.files.numpy_files import DamagedFile, read_npz, report_remade, write_npz
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.records.records import Records
from model.face_gcn import FaceGCN
from model.input_pipeline.stored_rows import StoredRows
from model.projection import zbuffer_projection

# Part of the cache's name. Increase it with every change to `seen_albedo` or what it calls.
METHOD = 1
_HASHED = 1024  # rows hashed at a time, which need not all be in memory


def cached_albedo_targets(
    cache_folder: Path,
    key: str,
    face_gcn: FaceGCN,
    records: Records,
    indices: Sequence[int],
    predicted: np.ndarray | StoredRows,
    truth: Mapping[str, np.ndarray],
) -> np.ndarray:
    """`albedo_targets`, kept in a file for the next start; a damaged file is reported and made again.

    They replace the true albedo in `truth`.

    Args:
      cache_folder: folder of the file. Its name contains a hash of everything that the targets depend on.
      key: separates results that are equal only up to rounding.
    """
    rows = np.asarray(indices, np.int64)
    path = Path(cache_folder) / f"albedo_targets-{_hash(key, face_gcn, records, rows, predicted, truth)}.npz"
    seen = _kept(path, (len(rows), *truth["true_albedo"].shape[1:]))
    if seen is None:
        targets = albedo_targets(face_gcn, records, indices, predicted, truth)
        write_npz(path, {"targets": targets[rows]})
        return targets
    truth["true_albedo"][rows] = seen
    return truth["true_albedo"]


def _hash(
    key: str,
    face_gcn: FaceGCN,
    records: Records,
    rows: np.ndarray,
    predicted: np.ndarray | StoredRows,
    truth: Mapping[str, np.ndarray],
) -> str:
    parts = (METHOD, key, face_gcn.morphable.face_model.fingerprint, face_gcn.camera, records.fingerprint)
    digest = hashlib.sha256(repr(parts).encode())
    for array in (rows, predicted, truth["coefficients"], truth["true_albedo"]):
        digest.update(f"{array.dtype} {array.shape}".encode())
        for start in range(0, len(array), _HASHED):
            digest.update(np.ascontiguousarray(array[start : start + _HASHED]).tobytes())
    return digest.hexdigest()[:16]


def _kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Targets in a cache file; None if it is missing, or damaged, which is reported."""
    if not path.is_file():
        return None
    try:
        targets = read_npz(path, ("targets",))["targets"]
        if targets.shape != shape or targets.dtype != np.float16 or not np.isfinite(targets).all():
            found = f"{targets.dtype} {list(targets.shape)}"
            raise DamagedFile(f"targets must be finite float16 {list(shape)}, got {found}")
    except DamagedFile as error:
        report_remade(path, error)
        return None
    return targets


def albedo_targets(
    face_gcn: FaceGCN,
    records: Records,
    indices: Sequence[int],
    predicted: np.ndarray | StoredRows,
    truth: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Targets [S, N, 3] float16: `seen_albedo` for the crops `indices`, the true albedo for all others.

    They replace the true albedo in `truth`: at 66 KB a crop with the built-in face, memory need not hold both.

    Args:
      face_gcn: provides the face model and the camera of the crops.
      records: S RGBA crops.
      indices: crops used for training or validation.
      predicted: [S, K] coefficients.
      truth: coefficients [S, K] and true_albedo [S, N, 3] of all records.
    """
    targets = truth["true_albedo"]
    compute = tf.function(lambda *arguments: seen_albedo(face_gcn, *arguments), reduce_retracing=True, autograph=False)
    for index in tqdm(indices, "albedo targets", unit="crop", dynamic_ncols=True):
        alpha = records.batch([index])[..., 3:].astype(np.float32) / 255
        rows = (predicted, truth["coefficients"], targets)
        targets[index] = compute(alpha, *(tf.constant(row[index][None], tf.float32) for row in rows))[0]
    return targets


def seen_albedo(
    face_gcn: FaceGCN,
    alpha: tf.Tensor,
    predicted: tf.Tensor,
    true_coefficients: tf.Tensor,
    true_albedo: tf.Tensor,
) -> tf.Tensor:
    """Albedo [B, N, 3] visible in a crop at the vertices of the predicted face; the true albedo at hidden vertices.

    Args:
      face_gcn: provides the face model and the camera of the crops.
      alpha: [B, H, W, 1] in [0, 1], 1 where the crop shows the face.
      predicted, true_coefficients: [B, K].
      true_albedo: [B, N, 3] RGB in [0, 1].
    """
    camera, morphable = face_gcn.camera, face_gcn.morphable
    # Render the true face's albedo, which is the crop without light, and read it at the predicted vertices.
    true_face = morphable.posed(true_coefficients, camera)
    shown = rasterize(camera.clip_coordinates(true_face.vertices), morphable.triangles, camera.image_size)
    image = interpolate(true_albedo, morphable.triangles, shown)
    face = morphable.posed(predicted, camera)
    fragments = rasterize(camera.clip_coordinates(face.vertices), morphable.triangles, camera.image_size)
    sampled = zbuffer_projection(
        image, alpha * shown.mask, camera, camera.project(face.vertices), face.vertices, face.normals,
        morphable.triangles, fragments,
    )  # fmt: skip
    return true_albedo + (sampled.colour - true_albedo) * sampled.visibility
