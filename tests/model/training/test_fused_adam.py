"""model/training/fused_adam.py and model/networks/products/dense.py against Keras' Adam and the stored gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.losses import weight_decay
from model.networks.products import dense as dense_products
from model.networks.products.dense import collected_products, is_thin, multiply
from model.networks.variable_names import optimizer_variables
from model.training.fused_adam import FusedAdam

ROWS, INPUTS, OUTPUTS = 3, 7, 5


def built(optimizer, variables):
    optimizer.build(variables)
    return optimizer


@pytest.mark.parametrize("clip_norm", [100.0, 0.05])
def test_updates_are_those_of_keras(clip_norm):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,))]
    ours, theirs = ([keras.Variable(value, name=f"v{i}") for i, value in enumerate(values)] for _ in range(2))
    fused = built(FusedAdam(0.1, clip_norm), ours)
    plain = built(keras.optimizers.Adam(0.1, clipnorm=clip_norm), theirs)
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


@pytest.fixture
def any_size(monkeypatch):
    monkeypatch.setattr(dense_products, "LEAST_ENTRIES", 1)


@pytest.mark.parametrize("clip_norm", [100.0, 0.5])
def test_thin_gradients_give_the_update_of_the_stored_gradient(any_size, clip_norm):
    rng = np.random.default_rng(1)
    start = rng.normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
    ours, theirs = (keras.Variable(start, name="kernel") for _ in range(2))
    fused = built(FusedAdam(0.1, clip_norm), [ours])
    plain = built(keras.optimizers.Adam(0.1, clipnorm=clip_norm), [theirs])
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
    fused = built(FusedAdam(0.1, 1.0), [first])
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
