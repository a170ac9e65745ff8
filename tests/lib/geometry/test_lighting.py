import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.lighting import sh_basis, shade, shading
from tests.support.helpers import assert_close, golden


def test_reference():
    arrays = golden("illumination")
    assert_close(sh_basis(arrays["normals"]), arrays["sh_basis"])
    light = shading(arrays["normals"], arrays["gamma"])
    assert_close(shade(arrays["albedo"], light, clip=True), arrays["color_paper"])
    assert_close(255 * shade(arrays["albedo"], light), arrays["color_deep3d_255"])


def test_without_light_only_the_ambient_acts():
    normals = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    ambient = 0.8 * np.pi / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(shading(normals, tf.zeros([2, 27])), np.full((2, 8, 3), ambient), rtol=1e-6)


def test_equal_normals_are_shaded_alike_and_channels_stay_apart():
    normals = tf.tile(tf.constant([[[0.6, 0.0, 0.8]]]), [1, 7, 1])
    light = np.zeros((1, 27), np.float32)
    light[0, 9:18] = np.linspace(-0.2, 0.3, 9)  # green alone
    result = shading(normals, light).numpy()
    np.testing.assert_array_equal(result, np.broadcast_to(result[:, :1], result.shape))
    assert result[0, 0, 0] == result[0, 0, 2] != result[0, 0, 1]


def test_basis_functions_are_orthogonal_over_the_sphere():
    """Apart from the factor of the cosine lobe each band is a real spherical harmonic."""
    generator = np.random.default_rng(1)
    normals = generator.normal(size=(200_000, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    basis = sh_basis(tf.constant(normals)).numpy()
    gram = basis.T @ basis / len(basis)
    scale = np.sqrt(np.diag(gram))
    np.testing.assert_allclose(gram / np.outer(scale, scale), np.eye(9), atol=0.02)


def test_gradients_survive_over_exposure_unless_clipped():
    albedo = tf.constant([[[0.9, 0.9, 0.9]]])
    light = tf.constant([[[2.0, 2.0, 2.0]]])
    for clip, expected in ((False, 2.0), (True, 0.0)):
        with tf.GradientTape() as tape:
            tape.watch(albedo)
            colour = shade(albedo, light, clip)
        np.testing.assert_allclose(tape.gradient(colour, albedo), np.full((1, 1, 3), expected))


def test_gradient_of_normals_and_light():
    generator = np.random.default_rng(2)
    inputs = [tf.constant(generator.normal(size=shape)) for shape in ((1, 4, 3), (1, 27))]
    analytic, numeric = tf.test.compute_gradient(shading, inputs, delta=1e-6)
    for exact, estimate in zip(analytic, numeric, strict=True):
        np.testing.assert_allclose(exact, estimate, atol=1e-6)


def test_light_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"light must be \[B, 27\], got \[1, 9\]"):
        shading(tf.zeros([1, 2, 3]), tf.zeros([1, 9]))
