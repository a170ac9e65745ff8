"""Measures the networks: detector and identity network on new synthetic photos, several of each person."""

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.records.records import Records
from lib.synthetic.dataset import crops_key
from lib.synthetic.face_set import FaceSet, load_or_render, recipe
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from lib.synthetic.rendering.placement import five_points
from model.evaluation.detector import detector_metrics
from model.metrics.networks import identity_metrics, predict, regressor_metrics
from model.pipeline import Pipeline
from model.weights.pretraining_seeds import pretraining_seeds

PER_PERSON = PhotoSettings().photos_per_identity


def fresh_photos(pipeline: Pipeline) -> FaceSet | None:
    """Photos that no network was trained on, rendered once and stored under data/generated/evaluate.

    Their number is the larger of evaluate.detector_faces and four times evaluate.identity_people. None if both are 0,
    or if synthetic faces do not show the configured camera, which is printed.

    Raises:
      UserError: see `check_new_photos`.
    """
    config = pipeline.config
    section, count = config.evaluate, _photo_count(config)
    if count == 0:
        return None
    if not config.camera.is_synthetic:
        print(
            "detector and identity network: not measured, because synthetic photos show another camera than "
            f"camera.focal_ratio {config.camera.focal_ratio:g} and camera.distance {config.camera.distance:g}",
            file=sys.stderr,
        )
        return None
    check_new_photos(config)
    size = config.data.image_size
    return load_or_render(
        config.generated_dir / "evaluate",
        recipe(pipeline.face_model, size, section.seed, count),
        pipeline.face_model.layout.size,
        SyntheticFaces,
        (pipeline.face_model, size, section.seed),
        config.workers,
        "evaluate.detector_faces and evaluate.identity_people",
    )


def _photo_count(config: schema.Config) -> int:
    return max(config.evaluate.detector_faces, PER_PERSON * config.evaluate.identity_people)


def check_new_photos(config: schema.Config) -> None:
    """Raises UserError if the new photos, if any, would show people that were trained on."""
    if _photo_count(config) == 0 or not config.camera.is_synthetic:
        return
    configured = {"data.synthetic_seed": config.data.synthetic_seed, "pretrain.seed": config.pretrain.seed}
    trained = {f"that of the faces of {option}": seed for option, seed in pretraining_seeds(config).items()}
    for key, seed in (configured | trained).items():
        if config.evaluate.seed == seed:
            raise UserError(
                f"evaluate.seed: must differ from {key}, got {seed} for both (the networks would be measured on faces "
                "they were trained on)"
            )


def check_crops(config: schema.Config, face_model: str, crops: str) -> None:
    """Raises UserError if the crops to be measured show people that a frozen network was trained on.

    Args:
      config: names the networks' weights.
      face_model: fingerprint of the face model.
      crops: of the crops, see `model.input_pipeline.ground_truth.rendered_as`.
    """
    for option, seed in pretraining_seeds(config, face_model).items():
        if crops == crops_key(face_model, config.data.image_size, seed):
            raise UserError(
                f"{config.records_path}: must not show the people that {option} was trained on, got crops of the same "
                f"seed, {seed} (python create_bin.py with another data.synthetic_seed renders others)"
            )


def measure_detector(pipeline: Pipeline, photos: FaceSet) -> dict | None:
    """`detector_metrics` of the first evaluate.detector_faces photos; None for 0."""
    count = pipeline.config.evaluate.detector_faces
    if count == 0:
        return None
    coefficients = photos.coefficients[:count]
    # True points come from the true coefficients through the face model.
    landmarks = np.concatenate(
        [pipeline.face_gcn.morphable.posed(tf.constant(row[None]), pipeline.camera).landmarks for row in coefficients]
    )
    points = np.stack([five_points(row) for row in landmarks])
    yaw = np.degrees(pipeline.face_model.layout.split(coefficients).angles[:, 1])
    return detector_metrics(photos.images[:count], points, yaw)


def measure_identity(pipeline: Pipeline, photos: FaceSet) -> dict | None:
    """`identity_metrics` over all pairs of photos of evaluate.identity_people people; None for fewer than two people.

    The four photos of a person differ in pose, light, expression, hair, make-up and background.
    """
    count = PER_PERSON * pipeline.config.evaluate.identity_people
    if pipeline.config.evaluate.identity_people < 2:
        return None
    return identity_metrics(predict(pipeline.identity, photos.images[:count]), photos.identities[:count])


def measure_networks(
    pipeline: Pipeline,
    records: Records,
    indices: Sequence[int],
    truth: Mapping[str, np.ndarray] | None,
    found: dict[str, dict | None],
) -> None:
    """Measures detector, regressor and identity network as far as there is something to measure; fills `found`."""
    photos = fresh_photos(pipeline)
    if photos:
        found["identity"] = measure_identity(pipeline, photos)
        found["detector"] = measure_detector(pipeline, photos)
    if truth:
        regressed = _regressed(pipeline, records, indices)
        true = truth["coefficients"][indices]
        found["regressor"] = regressor_metrics(pipeline.face_model, pipeline.camera, regressed, true)


def _regressed(pipeline: Pipeline, records: Records, indices: Sequence[int]) -> np.ndarray:
    """The regressor's own coefficients [S, K] of records; those of `Pipeline.encode` may have another light."""
    crops = (records.batch([index]).astype(np.float32) / 255 for index in indices)
    return np.concatenate([pipeline.regress(crop).coefficients for crop in crops])
