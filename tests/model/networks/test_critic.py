"""model/networks/critic.py against the published terms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.networks.critic import Critic, critic_loss, generator_loss, gradient_penalty
from tests.support.helpers import assert_close, golden


@pytest.fixture(scope="module")
def data():
    return golden("gan")


def stand_in(data, kind):
    """One of the reference critics on [0, 1] images, and its variables by name."""
    names = ("w", "b") if kind == "linear" else ("w1", "b1", "w2")
    variables = {name: tf.Variable(data[f"{kind}/{name}"]) for name in names}

    def score(image):
        x = tf.reshape(2.0 * image - 1.0, [image.shape[0], -1])
        if kind == "linear":
            return x @ variables["w"] + variables["b"]
        return tf.tanh(x @ variables["w1"] + variables["b1"]) @ variables["w2"]

    return score, variables


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("compiled", [False, True])
def test_losses_and_gradients(data, kind, compiled):
    critic, variables = stand_in(data, kind)
    real, fake = (tf.constant((data[f"{name}_image"] + 1) / 2) for name in ("real", "fake"))
    adversarial = float(data["adv_lambda"])

    def run():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            fake_score, real_score = critic(fake), critic(real)
            penalty = gradient_penalty(critic, real, fake, data["epsilon"], float(data["gp_scale"]))
            generator = generator_loss(fake_score, adversarial)
            total = critic_loss(real_score, fake_score, penalty, adversarial)
        return (
            fake_score,
            real_score,
            penalty,
            generator,
            total,
            tape.gradient(generator, fake),
            {
                name: tape.gradient(total, variable)
                for name, variable in variables.items()
                if f"{kind}/grad_{name}_of_d" in data
            },
        )

    fake_score, real_score, penalty, generator, total, to_fake, to_variables = (
        tf.function(run, autograph=False) if compiled else run
    )()
    assert_close(fake_score, data[f"{kind}/fake_score"])
    assert_close(real_score, data[f"{kind}/real_score"])
    assert_close(penalty, data[f"{kind}/gradient_penalty"])
    assert_close(generator, data[f"{kind}/g_loss"])
    assert_close(total, data[f"{kind}/d_loss"])
    # The reference differentiates by the image in [-1, 1]: half of ours.
    assert_close(to_fake / 2, data[f"{kind}/grad_fake_of_g"])
    for name, gradient in to_variables.items():
        assert_close(gradient, data[f"{kind}/grad_{name}_of_d"], 2e-4)
    assert to_variables


@pytest.mark.parametrize(("image_size", "side"), [(32, 1), (64, 2), (70, 3)])
def test_critic_scores_each_image_once(image_size, side):
    critic = Critic(image_size)
    images = tf.random.uniform([3, image_size, image_size, 3], seed=0)
    assert critic(images).shape == (3, 1)
    assert critic.score.kernel.shape == (side, side, 512, 1)
    assert [c.kernel.shape[0] for c in critic.convolutions] == [1, 3, 3, 3, 3, 3]
    assert [c.filters for c in critic.convolutions] == [16, 32, 64, 128, 256, 512]
    assert all(norm.gamma is None and norm.epsilon == 1e-3 for norm in critic.norms)


def test_published_size_ends_in_seven_by_seven():
    assert Critic(224).score.kernel.shape == (7, 7, 512, 1)


def test_critic_by_the_published_formula():
    """The same layers written out with TensorFlow's functions."""
    keras.utils.set_random_seed(0)
    critic = Critic(32)
    for variable in critic.trainable_variables:
        variable.assign_add(0.1 * keras.random.normal(variable.shape))
    images = tf.random.uniform([4, 32, 32, 3], seed=1)
    x = 2 * images - 1
    for i, (convolution, norm) in enumerate(zip(critic.convolutions, critic.norms, strict=True)):
        x = tf.nn.max_pool2d(x, 2, 2, "SAME") if i else x
        x = tf.nn.conv2d(x, convolution.kernel.value, 1, "SAME") + convolution.bias.value
        mean, variance = tf.nn.moments(x, [0, 1, 2])
        x = (x - mean) / tf.sqrt(variance + 1e-3) + norm.beta.value
        x = tf.where(x > 0, x, 0.2 * x)
    expected = tf.nn.conv2d(x, critic.score.kernel.value, 1, "VALID")[:, 0, 0] + critic.score.bias.value
    assert_close(critic(images, training=True), expected)


def test_penalty_reaches_every_weight_of_the_real_critic():
    keras.utils.set_random_seed(0)
    critic = Critic(32)
    real, fake = (tf.random.uniform([2, 32, 32, 3], seed=seed) for seed in (1, 2))

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            penalty = gradient_penalty(lambda image: critic(image, training=True), real, fake, 0.3)
            total = critic_loss(critic(real), critic(fake), penalty, 1.0)
        return tape.gradient(total, critic.trainable_variables)

    for variable, gradient in zip(critic.trainable_variables, gradients(), strict=True):
        assert np.isfinite(gradient).all()
        # A bias before batch normalisation, or one common to both scores, cannot change the loss.
        if "kernel" in variable.path:
            assert np.abs(gradient).max() > 0, variable.path


def test_a_critic_without_slope_gets_no_gradient():
    """Batch normalisation of a single pixel in a batch of one leaves nothing of the image."""
    critic = Critic(32)
    real, fake = (tf.random.uniform([1, 32, 32, 3], seed=seed) for seed in (1, 2))
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(critic, real, fake, 0.3)
    assert float(penalty) == 10.0
    gradients = tape.gradient(penalty, critic.trainable_variables)
    assert not any(np.any(gradient) for gradient in gradients if gradient is not None)  # NaN counts as true


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 32"):
        Critic(16)
    with pytest.raises(ValueError, match=r"image must be \[B, 64, 64, 3\]"):
        Critic(64)(tf.zeros([1, 32, 32, 3]))


def test_grey_is_zero_in_the_published_range():
    """Without biases so far, nothing comes of it."""
    critic = Critic(32)
    assert float(critic(tf.fill([1, 32, 32, 3], 0.5), training=False)[0, 0]) == 0.0
    assert float(critic(tf.fill([1, 32, 32, 3], 0.6), training=False)[0, 0]) != 0.0
