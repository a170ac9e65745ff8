"""The identity network and its loss."""

import numpy as np
import pytest
import tensorflow as tf

from model.networks.identity import IdentityNetwork, central_square, cosine_softmax_loss
from tests.support.helpers import assert_close
from utils import seed_everything


def small(**options) -> IdentityNetwork:
    seed_everything(2)
    return IdentityNetwork(**{"embedding_size": 16, "depth": 18, "width": 4, "image_size": 32, **options})


def test_embeddings_are_unit_vectors_for_any_image_size():
    network = small()
    for size in (32, 40, 57):
        embedding = network(tf.random.uniform([3, size, size, 3], seed=size))
        assert embedding.shape == (3, 16)
        assert_close(tf.norm(embedding, axis=-1), np.ones(3), 1e-5)


def test_the_image_gets_a_gradient_where_the_network_looks_and_only_there():
    network = small(crop_fraction=0.5)
    image = tf.random.uniform([1, 64, 64, 3], seed=1)
    target = tf.math.l2_normalize(tf.random.normal([1, 16], seed=2), axis=-1)
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_sum(network(image) * target)
    gradient = np.abs(tape.gradient(loss, image).numpy()[0].sum(-1))
    assert np.isfinite(gradient).all()
    assert (gradient[16:48, 16:48] > 0).mean() > 0.95
    gradient[16:48, 16:48] = 0.0
    assert gradient.max() == 0.0


def test_gradient_agrees_with_finite_differences():
    network = small()
    image = tf.random.uniform([1, 32, 32, 3], seed=3)
    direction = tf.random.normal(image.shape, seed=4)
    target = tf.math.l2_normalize(tf.random.normal([1, 16], seed=5), axis=-1)

    def cosine(x):
        return tf.reduce_sum(network(x) * target)

    with tf.GradientTape() as tape:
        tape.watch(image)
        value = cosine(image)
    analytic = float(tf.reduce_sum(tape.gradient(value, image) * direction))
    step = 1e-3
    numeric = float(cosine(image + step * direction) - cosine(image - step * direction)) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=0.03, abs=1e-4)


def test_central_square_is_central():
    image = np.arange(10 * 20).reshape(1, 10, 20, 1)
    np.testing.assert_array_equal(central_square(image, 0.5), image[:, 2:7, 5:15])
    np.testing.assert_array_equal(central_square(image, 1.0), image)


def test_cosine_softmax_by_hand():
    embeddings = tf.constant([[1.0, 0.0], [0.6, 0.8]])
    weights = tf.constant([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]])
    labels = tf.constant([0, 1])
    expected = []
    for cosines, label in (([1.0, 0.0, -1.0], 0), ([0.6, 0.8, -0.6], 1)):
        logits = 4.0 * np.array(cosines)
        logits[label] -= 4.0 * 0.25
        expected.append(-logits[label] + np.log(np.exp(logits).sum()))
    assert float(cosine_softmax_loss(embeddings, weights, labels, 4.0, 0.25)) == pytest.approx(np.mean(expected))


def test_impossible_networks_are_refused():
    with pytest.raises(ValueError, match="crop_fraction must be"):
        small(crop_fraction=0.0)
    with pytest.raises(ValueError, match="image_size"):
        small(image_size=16)
