"""The shipped weights fit the embedded default and do on new faces what their files say."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.face_mesh.features import crop_features
from lib.face_mesh.network import SIDE, find_mesh_points, square_around
from lib.geometry.camera import Camera
from lib.images.clipping import clipped
from lib.synthetic.photos import SyntheticFaces
from model.metrics.images import masked_psnr
from model.metrics.networks import identity_metrics, predict, regressor_metrics
from model.networks.identity import build_identity_network
from model.networks.mirroring import from_both_sides
from model.networks.regressor import build_regressor
from model.pipeline import load_face_model, load_pipeline, load_texture_weights
from model.pretraining.mask_faces import COVERS, make_faces
from model.weights.mask_weights import landmark_network, load_mask_decoder
from model.weights.pretrained import load_weights, read_metadata
from tests.support.helpers import ROOT

SEED = 9  # of nobody's training
COUNT = 40  # ten people


@pytest.fixture(scope="module")
def config() -> schema.Config:
    return schema.load()


@pytest.fixture(scope="module")
def face_model(config):
    return load_face_model(config)


@pytest.fixture(scope="module")
def photos(face_model):
    faces = SyntheticFaces(face_model, 128, SEED)
    return [faces.sample(i) for i in range(COUNT)]


def test_the_mask_decoder_cuts_out_new_faces(config, face_model):
    path = schema.asset_path(config.mask.weights)
    assert path.stat().st_size < 500_000
    metadata, decoder = read_metadata(path), load_mask_decoder(path)
    assert metadata["landmark_network"] == landmark_network()
    assert metadata["faces"]["covers"] == COVERS
    recipe = metadata["config"]["mask"]
    assert (recipe["seed"], recipe["count"], recipe["updates"]) == (
        config.mask.seed, config.mask.count, config.mask.updates,
    )  # fmt: skip
    faces, overlaps = make_faces(face_model, 224, SEED), []
    for index in range(12):
        face = faces.sample(index)
        square = square_around(find_mesh_points(face.image, face.five_points).points)
        maps = [tf.constant(level[None]) for level in crop_features(square.cut(face.image, SIDE))]
        picture = cv2.resize(square.cut(face.image, SIDE), (96, 96), interpolation=cv2.INTER_AREA) / 255
        found = decoder(maps, tf.constant(picture[None], tf.float32))[0].numpy() > 0
        skin = square.cut(np.repeat(face.alpha[..., None], 3, -1), 96)[..., 0] > 127
        overlaps.append((found & skin).sum() / (found | skin).sum())
    assert np.median(overlaps) > metadata["held_out"]["iou"] - 0.05


def test_the_texture_network_fits_the_default_and_follows_new_photos(config, face_model):
    path = schema.asset_path(config.texture.weights)
    assert path.stat().st_size < 1_000_000
    recipe, written = schema.load(ROOT / "configs/texture_weights.yaml"), read_metadata(path)["config"]
    for section, options in (("data", ("synthetic_count", "synthetic_seed")), ("loss", None), ("train", ("epochs",))):
        wanted = dataclasses.asdict(getattr(recipe, section))
        for option in options or wanted:
            assert written[section][option] == wanted[option], (section, option)
    pipeline = load_pipeline(config)
    assert load_texture_weights(pipeline) == ""
    faces, gains = SyntheticFaces(face_model, config.data.image_size, SEED), []
    for index in range(0, 16, 4):  # four people
        face = faces.sample(index)
        crop = tf.constant(np.dstack([face.image, face.alpha])[None] / np.float32(255))
        encoded = pipeline.encode(crop.numpy())
        found = pipeline.face_gcn(crop, encoded.coefficients, encoded.embedding)
        mask = found.mask * crop[..., 3:]
        fine, coarse = (
            masked_psnr(clipped(picture), crop[..., :3], mask) for picture in (found.rendering, found.coarse.rendering)
        )
        gains.append(float(fine[0] - coarse[0]))
    assert min(gains) > 8


def test_the_files_are_small(config):
    paths = [schema.asset_path(p) for p in (config.regressor.weights, config.identity.weights)]
    assert sum(p.stat().st_size for p in paths) < 10e6


def test_regressor_is_as_accurate_as_it_says(config, face_model, photos):
    network = build_regressor(config.regressor, face_model.layout)
    metadata = load_weights(schema.asset_path(config.regressor.weights), network, face_model.fingerprint)
    predicted = predict(from_both_sides(network, face_model), np.stack([p.image for p in photos]))
    truth = np.stack([p.coefficients for p in photos])
    measured = regressor_metrics(face_model, Camera((128, 128)), predicted, truth)
    # Forty faces scatter; half as bad again would be another network.
    for name in ("landmarks_percent", "rotation_degrees", "albedo_ratio", "light_ratio"):
        assert measured[name] < 1.5 * metadata["held_out"][name], name
    assert measured["albedo_ratio"] < 1.0
    assert measured["light_ratio"] < 1.0


def test_identity_network_tells_new_people_apart(config, face_model, photos):
    network = build_identity_network(config.identity)
    metadata = load_weights(schema.asset_path(config.identity.weights), network, face_model.fingerprint)
    measured = identity_metrics(
        predict(network, np.stack([p.image for p in photos])), np.array([p.identity_id for p in photos])
    )
    assert measured["auc"] > metadata["held_out"]["auc"] - 0.1
