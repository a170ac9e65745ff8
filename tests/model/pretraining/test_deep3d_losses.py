import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from model.losses import weighted_total
from model.pretraining.deep3d_losses import (
    WEIGHTS,
    landmark_loss,
    landmark_weights,
    light_loss,
    perceptual_loss,
    photometric_loss,
    prior_loss,
    reflectance_loss,
)
from tests.support.helpers import assert_close, assert_gradient, golden

VARIABLES = (
    "render_imgs_bgr",
    "id_feature",
    "landmark_p",
    "id_coeff",
    "ex_coeff",
    "tex_coeff",
    "face_texture_255",
    "gamma_coeff",
)


@pytest.fixture(scope="module")
def arrays():
    return golden("losses_deep3d")


def golden_terms(arrays, rendering, feature, landmarks, identity, expression, albedo, texture, light):
    mask = arrays["front_mask"] * arrays["attention_mask"][..., :1] / 255
    coefficients = Coefficients(identity, expression, albedo, None, light, None)
    return {
        "photometric": photometric_loss(
            rendering[..., ::-1] / 255, tf.constant(arrays["input_imgs_bgr"][..., ::-1] / 255), mask
        ),
        "landmarks": landmark_loss(landmarks, arrays["landmark_label"], 224),
        "perceptual": perceptual_loss(feature, arrays["id_label"]),
        "prior": prior_loss(coefficients),
        "reflectance": reflectance_loss(texture / 255, tf.constant(arrays["skin_mask"][0])),
        "light": light_loss(light),
    }


def test_reference_values_and_gradients(arrays):
    watched = [tf.constant(arrays[name]) for name in VARIABLES]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        terms = golden_terms(arrays, *watched)
        total = weighted_total(terms, WEIGHTS)
    published = ("photo", "landmark", "perceptual", "regulation", "reflectance", "gamma")
    names = ("photometric", "landmarks", "perceptual", "prior", "reflectance", "light")
    for name, reference in zip(names, published, strict=True):
        assert_close(terms[name], arrays[f"loss_{reference}"])
    assert_close(total, arrays["loss_total"])
    for gradient, name in zip(tape.gradient(total, watched), VARIABLES, strict=True):
        assert_close(gradient, arrays[f"grad_{name}"])


def test_reference_weights(arrays):
    published = ("w_photo", "w_lm", "w_id", "w_reg", "w_ref", "w_gamma")
    assert_close(list(WEIGHTS.values()), [arrays[name] for name in published])


def test_equal_colours_have_no_gradient_and_no_nan():
    image = tf.constant(np.random.default_rng(0).uniform(size=(2, 4, 4, 3)))
    rendering = tf.identity(image)
    with tf.GradientTape() as tape:
        tape.watch(rendering)
        value = photometric_loss(rendering, image, tf.ones([2, 4, 4, 1], tf.float64))
    assert value == 0
    np.testing.assert_array_equal(tape.gradient(value, rendering), np.zeros(image.shape))


def test_pixels_off_the_mask_do_not_count():
    generator = np.random.default_rng(0)
    rendering, image = (tf.constant(generator.uniform(size=(1, 4, 4, 3))) for _ in range(2))
    mask = np.zeros((1, 4, 4, 1))
    mask[0, 1:3, 1] = 0.5
    with tf.GradientTape() as tape:
        tape.watch(rendering)
        value = photometric_loss(rendering, image, tf.constant(mask))
    distance = np.linalg.norm(rendering.numpy() - image.numpy(), axis=-1)
    assert float(value) == pytest.approx(distance[0, 1:3, 1].mean())
    assert (np.abs(tape.gradient(value, rendering)).sum(-1) > 0).tolist() == (mask[..., 0] > 0).tolist()
    assert photometric_loss(rendering, image, tf.zeros([1, 4, 4, 1], tf.float64)) == 0


def test_landmarks_are_measured_on_224_pixels():
    target = np.random.default_rng(0).uniform(size=(2, 68, 2)).astype(np.float32)
    assert landmark_loss(target, target, 224) == 0
    shifted = target + np.float32([1, 0])
    assert float(landmark_loss(shifted, target, 224)) == pytest.approx(landmark_weights().mean(), rel=1e-5)
    assert float(landmark_loss(shifted, target, 112)) == pytest.approx(4 * landmark_weights().mean(), rel=1e-5)
    assert float(landmark_loss(shifted, target, 224, np.ones(68, np.float32))) == pytest.approx(1, rel=1e-5)


def test_terms_are_zero_at_their_ideal():
    assert float(perceptual_loss(tf.ones([2, 4]), 2 * tf.ones([2, 4]))) == pytest.approx(0, abs=1e-6)
    assert reflectance_loss(tf.fill([2, 5, 3], 0.25), tf.constant([1.0, 1, 0, 1, 0])) == 0
    assert light_loss(tf.tile(tf.range(9.0)[None], [2, 3])) == 0
    nothing = tf.zeros([2, 3])
    assert prior_loss(Coefficients(nothing, nothing, nothing, None, None, None)) == 0


def test_gradients_are_those_of_finite_differences():
    generator = np.random.default_rng(5)
    rendering, image = generator.uniform(-0.2, 1.2, (2, 3, 4, 3)), generator.uniform(size=(2, 3, 4, 3))
    mask = tf.constant(generator.uniform(size=(2, 3, 4, 1)))
    assert_gradient(lambda *both: photometric_loss(*both, mask), rendering, image)

    weights = landmark_weights().astype(np.float64)
    landmarks, target = generator.uniform(0, 96, (2, 68, 2)), generator.uniform(0, 96, (2, 68, 2))
    assert_gradient(lambda *both: landmark_loss(*both, 96, weights), landmarks, target, delta=1e-3)

    assert_gradient(perceptual_loss, generator.normal(size=(2, 6)), generator.normal(size=(2, 6)))

    groups = [generator.normal(size=(2, count)) for count in (5, 4, 3)]
    assert_gradient(lambda *parts: prior_loss(Coefficients(*parts, None, None, None)), *groups)

    skin = tf.constant([1.0, 0, 1, 1, 0], tf.float64)
    assert_gradient(lambda albedo: reflectance_loss(albedo, skin), generator.uniform(size=(2, 5, 3)))
    assert_gradient(light_loss, generator.normal(size=(2, 27)))
