import numpy as np
import pytest
import tensorflow as tf

from lib.images.sampling import sample_image

GENERATOR = np.random.default_rng(3)
IMAGE = GENERATOR.uniform(size=(2, 5, 7, 3)).astype(np.float32)


def centres():
    row, column = np.mgrid[:5, :7]
    points = np.stack([column, row], -1).reshape(1, -1, 2) + 0.5
    return np.repeat(points, 2, axis=0).astype(np.float32)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_pixel_centres_give_the_pixels(method):
    np.testing.assert_array_equal(sample_image(IMAGE, centres(), method).numpy().reshape(IMAGE.shape), IMAGE)


def test_nearest_takes_the_pixel_a_point_lies_in():
    points = np.array([[[2.01, 3.99], [2.99, 3.01], [-5, 2.5], [1e9, -1e9]]] * 2, np.float32)
    expected = np.stack([IMAGE[:, 3, 2], IMAGE[:, 3, 2], IMAGE[:, 2, 0], IMAGE[:, 0, 6]], axis=1)
    np.testing.assert_array_equal(sample_image(IMAGE, points, "nearest"), expected)


def test_bilinear_against_a_loop():
    points = GENERATOR.uniform(-1, 8, size=(2, 40, 2)).astype(np.float32)
    expected = np.zeros((2, 40, 3))
    for b in range(2):
        for n, (x, y) in enumerate(points[b]):
            x, y = min(max(x - 0.5, 0), 6), min(max(y - 0.5, 0), 4)
            for row in range(5):
                for column in range(7):
                    expected[b, n] += IMAGE[b, row, column] * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
    np.testing.assert_allclose(sample_image(IMAGE, points), expected, atol=1e-5)


def test_bilinear_reproduces_linear_images_with_their_slope():
    row, column = np.mgrid[:6, :8]
    image = tf.constant((2.0 * (column + 0.5) - 3.0 * (row + 0.5))[None, ..., None])
    points = tf.constant(GENERATOR.uniform(1, 5, size=(1, 9, 2)))
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = sample_image(image, points)
    np.testing.assert_allclose(values[..., 0], 2 * points[..., 0] - 3 * points[..., 1], atol=1e-12)
    np.testing.assert_allclose(tape.gradient(values, points), np.tile([2.0, -3.0], (1, 9, 1)), atol=1e-12)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_gradient_of_the_image(method):
    points = tf.constant(GENERATOR.uniform(0, 5, size=(1, 6, 2)))
    image = tf.constant(IMAGE[:1].astype(np.float64))
    analytic, numeric = tf.test.compute_gradient(lambda pixels: sample_image(pixels, points, method), [image])
    np.testing.assert_allclose(analytic[0], numeric[0], atol=1e-8)


def test_in_a_graph_with_open_sizes():
    graph = tf.function(
        lambda image, points: sample_image(image, points),
        input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, None, 2])],
    )
    points = GENERATOR.uniform(0, 7, size=(2, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(graph(IMAGE, points), sample_image(IMAGE, points))


def test_refuses_other_methods_and_shapes():
    with pytest.raises(ValueError, match="method must be 'bilinear' or 'nearest', got 'cubic'"):
        sample_image(tf.zeros([1, 2, 2, 1]), tf.zeros([1, 1, 2]), "cubic")
    with pytest.raises(ValueError, match=r"got \[1, 2, 2\] and \[1, 1, 2\]"):
        sample_image(tf.zeros([1, 2, 2]), tf.zeros([1, 1, 2]))
