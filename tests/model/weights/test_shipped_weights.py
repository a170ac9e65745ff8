"""The shipped weights fit the embedded default and do on new faces what their files say."""

import numpy as np
import pytest

from configs import schema
from lib.geometry.camera import Camera
from lib.synthetic.photos import SyntheticFaces
from model.metrics.networks import identity_metrics, predict, regressor_metrics
from model.networks.identity import build_identity_network
from model.networks.mirroring import from_both_sides
from model.networks.regressor import build_regressor
from model.pipeline import load_face_model
from model.weights.pretrained import load_weights

SEED = 9  # of nobody's training
COUNT = 24  # six people


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


def test_the_files_are_small(config):
    paths = [schema.asset_path(p) for p in (config.regressor.weights, config.identity.weights)]
    assert sum(p.stat().st_size for p in paths) < 10e6


def test_regressor_is_as_accurate_as_it_says(config, face_model, photos):
    network = build_regressor(config.regressor, face_model.layout)
    metadata = load_weights(schema.asset_path(config.regressor.weights), network, face_model.fingerprint)
    predicted = predict(from_both_sides(network, face_model), np.stack([p.image for p in photos]))
    truth = np.stack([p.coefficients for p in photos])
    measured = regressor_metrics(face_model, Camera((128, 128)), predicted, truth)
    # Twenty-four faces scatter; half as bad again would be another network.
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
