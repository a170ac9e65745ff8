"""Networks with fixed weights compute what the Keras networks of the same weights compute."""

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from lib.face_mesh.features import MAPS
from lib.face_model.coefficients import CoefficientLayout
from model.networks.fixed.encoders import FixedIdentityNetwork, FixedRegressor
from model.networks.fixed.mask import FixedMaskDecoder
from model.networks.identity import IdentityNetwork
from model.networks.mask_decoder import MaskDecoder
from model.networks.regressor import Regressor
from model.weights.pretrained import load_fixed, save_weights, stored_precision

LAYOUT = CoefficientLayout(4, 3, 2)


def randomised(network):
    """The network with random weights; its variances are positive."""
    generator = np.random.default_rng(0)
    for variable in network.weights:
        values = generator.normal(0, 0.2, variable.shape)
        variable.assign(1 + np.abs(values) if "variance" in variable.path or "gamma" in variable.path else values)
    return network


@pytest.mark.parametrize(("depth", "input_range"), [(18, "centred"), (50, "published")])
def test_regressor(tmp_path, depth, input_range):
    sizes = (LAYOUT, depth, 4, 40, input_range)
    network = randomised(Regressor(*sizes))
    save_weights(tmp_path / "w.npz", network, "cafe", {})
    fixed = load_fixed(tmp_path / "w.npz", lambda take: FixedRegressor(take, *sizes), "cafe")
    crops = tf.random.stateless_uniform([2, 48, 48, 3], [0, 1])
    with stored_precision(network):
        expected = network(crops, training=False)
    for found, wanted in zip(fixed(crops), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert fixed.feature_size == expected[1].shape[-1]


def test_identity_network_with_its_gradient(tmp_path):
    sizes = (8, 18, 4, 72, 0.8)
    network = randomised(IdentityNetwork(*sizes))
    save_weights(tmp_path / "w.npz", network, "cafe", {})
    fixed = load_fixed(tmp_path / "w.npz", lambda take: FixedIdentityNetwork(take, *sizes), "cafe")
    images = tf.random.stateless_uniform([2, 80, 80, 3], [0, 2])

    def embedding_and_slope(embed):
        with tf.GradientTape() as tape:
            tape.watch(images)
            embedding = embed(images, training=False)
            total = tf.reduce_sum(embedding[:, :3])
        return embedding, tape.gradient(total, images)

    with stored_precision(network):
        expected = embedding_and_slope(network)
    found = embedding_and_slope(fixed)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6 * np.abs(expected[1]).max())


def test_mask_decoder(tmp_path):
    network = randomised(MaskDecoder())
    save_weights(tmp_path / "w.npz", network, "any", {})
    fixed = load_fixed(tmp_path / "w.npz", FixedMaskDecoder, "any")
    maps = [tf.random.stateless_normal([1, side, side, count], [side, 0]) for side, count in MAPS.values()]
    picture = tf.random.stateless_uniform([1, 96, 96, 3], [0, 3])
    with stored_precision(network):
        expected = network(maps, picture)
    np.testing.assert_array_equal(fixed(maps, picture), expected)


def test_weights_of_another_network_or_face_model_are_refused(tmp_path):
    save_weights(tmp_path / "w.npz", Regressor(LAYOUT, 18, 4, 32), "cafe", {})

    def load(face_model, *sizes):
        return load_fixed(tmp_path / "w.npz", lambda take: FixedRegressor(take, LAYOUT, *sizes, "centred"), face_model)

    load("cafe", 18, 4, 32)
    with pytest.raises(UserError, match=r"must be \[7, 7, 3, 2\], got \[7, 7, 3, 4\]: another depth"):
        load("cafe", 18, 2, 32)
    with pytest.raises(UserError, match=r"must hold 'regressor/.*another depth"):
        load("cafe", 34, 4, 32)
    with pytest.raises(UserError, match=r"beef.*cafe.*main\.py --mode pretrain"):
        load("beef", 18, 4, 32)
