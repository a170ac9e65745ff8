"""model/training/fused_adam.py and model/networks/products/dense.py against Keras' Adam and the stored gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from model.losses import weight_decay
from model.networks.products import dense as dense_products
from model.networks.products.dense import collected_products, is_thin, multiply
from model.networks.variable_names import optimizer_variables
from model.training.fused_adam import FusedAdam

ROWS, INPUTS, OUTPUTS = 3, 7, 5
EPSILON = 1e-7


def built(optimizer, variables):
    optimizer.build(variables)
    return optimizer


@pytest.mark.parametrize("clip_norm", [100.0, 0.05])
def test_updates_are_those_of_keras(clip_norm):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,))]
    ours, theirs = ([keras.Variable(value, name=f"v{i}") for i, value in enumerate(values)] for _ in range(2))
    fused = built(FusedAdam(0.1, clip_norm, EPSILON), ours)
    plain = built(keras.optimizers.Adam(0.1, clipnorm=clip_norm, epsilon=EPSILON), theirs)
    for _ in range(3):
        gradients = [tf.constant(rng.normal(size=value.shape), tf.float32) for value in values]
        fused.apply(gradients, ours)
        plain.apply(gradients, theirs)
    # TensorFlow rounds beta_2 before it subtracts it from 1, which changes the velocity by 1.3e-5 of itself.
    found, expected = optimizer_variables(fused), optimizer_variables(plain)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value.numpy(), rtol=2e-5, atol=1e-9, err_msg=name)
    for variable, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(variable.numpy(), other.numpy(), rtol=2e-5, atol=5e-6)


def test_the_papers_updates_are_those_of_tensorflow_1():
    """Also of gradients as small as its epsilon, 1e-8, which Keras' own of 1e-7 would shorten to a tenth."""
    train = schema.load("configs/paper.yaml").train
    gradients = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32) * np.float32(1e-8)
    stored, thin = (keras.Variable(np.zeros((4, 5), np.float32), name=name) for name in ("stored", "thin"))
    fused = built(FusedAdam(train.learning_rate, train.clip_norm, train.epsilon), [stored, thin])
    weights, momentum, velocity = (np.zeros((4, 5)) for _ in range(3))
    for step, gradient in enumerate(gradients, 1):
        fused.apply([tf.constant(gradient)], [stored])
        factors = tf.eye(4), tf.constant(gradient), tf.constant(gradient)
        fused.update_thin([thin], [fused.thin_gradient(*factors, tf.constant(0.0), tf.constant(0.0))])
        # tf.train.AdamOptimizer of TensorFlow 1, with its defaults, as its documentation gives it.
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * np.square(gradient.astype(np.float64))
        rate = 1e-4 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights -= rate * momentum / (np.sqrt(velocity) + 1e-8)
    np.testing.assert_allclose(stored.numpy(), weights, rtol=1e-3)
    np.testing.assert_allclose(thin.numpy(), weights, rtol=1e-3)


@pytest.fixture
def any_size(monkeypatch):
    monkeypatch.setattr(dense_products, "LEAST_ENTRIES", 1)


@pytest.mark.parametrize("clip_norm", [100.0, 0.5])
def test_thin_gradients_give_the_update_of_the_stored_gradient(any_size, clip_norm):
    rng = np.random.default_rng(1)
    start = rng.normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
    ours, theirs = (keras.Variable(start, name="kernel") for _ in range(2))
    fused = built(FusedAdam(0.1, clip_norm, EPSILON), [ours])
    plain = built(keras.optimizers.Adam(0.1, clipnorm=clip_norm, epsilon=EPSILON), [theirs])
    decay = tf.constant(0.3)

    @tf.function(autograph=False)
    def thin_step(x, target):
        with collected_products() as products, tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(multiply(x, ours) - target)) + decay * weight_decay([ours])
        (product,) = products
        upstream = tape.gradient(loss, product.output)
        fused.iterations.assign_add(1)
        squares = 2.0 * weight_decay([ours])
        return fused.thin_gradient(product.x, upstream, product.output, decay, squares)

    def stored_step(x, target):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(multiply(x, theirs) - target)) + decay * weight_decay([theirs])
        plain.apply(tape.gradient(loss, [theirs.value]), [theirs])

    for _ in range(3):
        x, target = (tf.constant(rng.normal(size=(ROWS, n)), tf.float32) for n in (INPUTS, OUTPUTS))
        fused.update_thin([ours], [thin_step(x, target)])
        stored_step(x, target)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)
    for name, value in optimizer_variables(plain).items():
        np.testing.assert_allclose(optimizer_variables(fused)[name].numpy(), value.numpy(), rtol=1e-4, atol=1e-6)


def test_updates_in_place_leave_variables_that_were_assigned_from_each_other():
    first, second = (keras.Variable(np.ones((INPUTS, OUTPUTS), np.float32), name=name) for name in "ab")
    fused = built(FusedAdam(0.1, 1.0, EPSILON), [first])
    x, upstream, one = tf.ones([ROWS, INPUTS]), tf.ones([ROWS, OUTPUTS]), tf.constant(1.0)
    gradient = fused.thin_gradient(x, upstream, tf.matmul(x, first.value), one, one)
    for _ in range(2):
        second.assign(first)
        before = second.numpy()
        fused.iterations.assign_add(1)
        fused.update_thin([first], [gradient])
        assert not np.array_equal(first.numpy(), before)
        np.testing.assert_array_equal(second.numpy(), before)
        first.assign(second)


def test_only_large_matrices_and_few_rows_are_thin():
    assert is_thin(4, (1000, 1000))
    assert not is_thin(4, (999, 1000))
    assert not is_thin(17, (1000, 1000))
    assert not is_thin(None, (1000, 1000))


def test_products_are_collected_only_inside_the_context(any_size):
    kernel = keras.Variable(np.ones((INPUTS, OUTPUTS), np.float32))
    with collected_products() as products:
        multiply(tf.ones([ROWS, INPUTS]), kernel)
    multiply(tf.ones([ROWS, INPUTS]), kernel)
    assert len(products) == 1
