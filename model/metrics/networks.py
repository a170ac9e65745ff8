"""Accuracy of the pre-trained networks on people they were not trained on."""

import functools
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score, roc_curve

from lib.face_model.coefficients import CoefficientLayout
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.rotation import rotation_matrix

OUTER_EYES = (36, 45)  # outer corners of the subject's right and left eye
BATCH = 32
# False accept rates at which the true accept rate is reported, and the false accepts that it takes to measure one.
FALSE_ACCEPT_RATES = (1e-2, 1e-3)
LEAST_FALSE_ACCEPTS = 10


def predict(network: Callable, images: np.ndarray) -> np.ndarray:
    """First output of a network, in inference mode, for uint8 RGB(A) pictures [S, H, W, C]; runs in batches."""

    @tf.function(reduce_retracing=True, autograph=False)
    def run(batch):
        result = network(tf.cast(batch[..., :3], tf.float32) / 255.0, training=False)
        return result[0] if isinstance(result, (tuple, list)) else result

    return np.concatenate([run(tf.constant(images[i : i + BATCH])) for i in range(0, len(images), BATCH)])


def regressor_metrics(face_model: FaceModel, camera: Camera, predicted: np.ndarray, truth: np.ndarray) -> dict:
    """Errors of predicted coefficients [S, K] against true ones, averaged over faces.

    Returns:
      landmarks_percent: distance of the 68 landmarks in the image, per cent of the outer-eye distance.
      rotation_degrees: angle of the rotation between predicted and true pose.
      shape_ratio: vertex distance before the pose on the front of the face, relative to that of the mean face.
      albedo_ratio: absolute albedo error on the skin, relative to that of the mean albedo.
      light_ratio: absolute error of the light on the visible half of a sphere, relative to that of ambient light.
      translation_dm: distance of the translations.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for ours, theirs in zip(predicted, truth, strict=True):
        for name, error in _errors(face_model, camera, ours, theirs).items():
            sums[name] += error
    count = len(truth)
    return {
        "landmarks_percent": round(100.0 * sums["landmarks"] / count, 3),
        "rotation_degrees": round(sums["degrees"] / count, 3),
        "shape_ratio": round(sums["shape"] / sums["mean_shape"], 4),
        "albedo_ratio": round(sums["albedo"] / sums["mean_albedo"], 4),
        "light_ratio": round(sums["light"] / sums["ambient"], 4),
        "translation_dm": round(sums["translation"] / count, 4),
        "faces": count,
    }


def coefficient_errors(layout: CoefficientLayout, predicted: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """Root mean square errors of predicted coefficients [S, K], one for each of "identity" and "albedo".

    Without knowledge they are 1, the standard deviation of the face model's prior.
    """
    errors = layout.split(np.sqrt(np.mean(np.square(predicted - truth), axis=0)))
    return {name: [round(float(error), 4) for error in getattr(errors, name)] for name in ("identity", "albedo")}


def _errors(face_model: FaceModel, camera: Camera, predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Errors of one face's coefficients [K], and those of mean shape, mean albedo and ambient light."""
    front, skin = face_model.front_mask, face_model.skin_mask
    basis = np.concatenate([face_model.identity_basis, face_model.expression_basis])
    a, b = face_model.layout.split(predicted), face_model.layout.split(true)
    offsets = [np.tensordot(np.concatenate([part.identity, part.expression]), basis, 1) for part in (a, b)]
    rotations = rotation_matrix(tf.constant(np.stack([a.angles, b.angles]))).numpy()
    points = [
        (face_model.mean_shape + offset)[face_model.landmarks] @ rotation + part.translation
        for offset, rotation, part in zip(offsets, rotations, (a, b), strict=True)
    ]
    pixels = camera.project(tf.constant(np.stack(points), tf.float32)).numpy()
    eyes = np.linalg.norm(points[1][OUTER_EYES[0]] - points[1][OUTER_EYES[1]])
    eyes_px = eyes * camera.focal_length / float(camera.depth(points[1])[list(OUTER_EYES)].mean())
    cosine = (np.trace(rotations[0].T @ rotations[1]) - 1.0) / 2.0
    lights = np.stack([a.light, b.light, np.zeros_like(a.light)]).astype(np.float32)
    shades = shading(tf.constant(np.stack([_hemisphere()] * 3)), tf.constant(lights)).numpy()
    errors = {
        "landmarks": np.linalg.norm(pixels[0] - pixels[1], axis=-1).mean() / eyes_px,
        "degrees": np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
        "shape": np.linalg.norm(offsets[0] - offsets[1], axis=-1)[front].mean(),
        "mean_shape": np.linalg.norm(offsets[1], axis=-1)[front].mean(),
        "albedo": np.abs(np.tensordot(a.albedo - b.albedo, face_model.albedo_basis, 1))[skin].mean(),
        "mean_albedo": np.abs(np.tensordot(b.albedo, face_model.albedo_basis, 1))[skin].mean(),
        "light": np.abs(shades[0] - shades[1]).mean(),
        "ambient": np.abs(shades[2] - shades[1]).mean(),
        "translation": np.linalg.norm(a.translation - b.translation),
    }
    return {name: float(error) for name, error in errors.items()}


def identity_metrics(embeddings: np.ndarray, identities: np.ndarray) -> dict:
    """Verification by cosine: pairs of photos of the same person against pairs of two people.

    Args:
      embeddings: [S, E] unit vectors.
      identities: [S] numbers of the people.

    Returns:
      auc: area under the ROC curve, the probability that a pair of one person has a larger cosine than a pair of two
        people (ties count half).
      tar_at_far: false accept rate -> true accept rate, the largest share of same pairs accepted by a threshold that
        accepts at most that share of different pairs; None where that is fewer than ten pairs.
      same, different: mean cosines of the two kinds of pairs.
      people, faces: numbers of them.

    Raises:
      ValueError: no pair of the same person, or none of different people.
    """
    first, second = np.triu_indices(len(embeddings), 1)
    cosines = (embeddings @ embeddings.T)[first, second]
    same = identities[first] == identities[second]
    if same.all() or not same.any():
        raise ValueError("identities must contain pairs of one person and pairs of two people, got only one kind")
    # By default scikit-learn drops thresholds on straight stretches of the curve; the ones needed here may lie there.
    false_accepts, true_accepts, _ = roc_curve(same, cosines, drop_intermediate=False)
    return {
        "auc": round(float(roc_auc_score(same, cosines)), 5),
        "tar_at_far": {
            f"{rate:g}": round(float(true_accepts[false_accepts <= rate].max()), 4)
            if rate * (~same).sum() >= LEAST_FALSE_ACCEPTS
            else None
            for rate in FALSE_ACCEPT_RATES
        },
        "same": round(float(cosines[same].mean()), 4),
        "different": round(float(cosines[~same].mean()), 4),
        "people": len(np.unique(identities)),
        "faces": len(identities),
    }


@functools.cache
def _hemisphere(count: int = 200) -> np.ndarray:
    """[count, 3] unit vectors spread evenly over the half sphere towards the camera (golden angle)."""
    i = np.arange(count) + 0.5
    z, azimuth = i / count, i * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - z**2)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=-1).astype(np.float32)
