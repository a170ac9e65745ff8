import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from lib.images.morphology import dilate, elliptical_kernel, erode, published_erosion
from tests.support.helpers import assert_close, golden


def test_kernels_reference():
    arrays = golden("erosion")
    np.testing.assert_array_equal(elliptical_kernel(5), arrays["kernel_dilate"])
    np.testing.assert_array_equal(elliptical_kernel(9), arrays["kernel_erode"])


def test_binary_masks_reference():
    arrays = golden("erosion")
    dilated = dilate(arrays["alpha"], elliptical_kernel(5))
    np.testing.assert_array_equal(dilated, arrays["alpha_dilated"])
    np.testing.assert_array_equal(erode(dilated, elliptical_kernel(9)), arrays["alpha_eroded_once"])
    np.testing.assert_array_equal(published_erosion(arrays["alpha"]), arrays["alpha_out"])


def test_soft_masks_reference():
    arrays = golden("erosion")
    assert_close(dilate(arrays["soft_alpha"], elliptical_kernel(5)), arrays["soft_dilated"], 1e-6)
    assert_close(published_erosion(arrays["soft_alpha"]), arrays["soft_out"], 1e-6)


def test_against_another_implementation():
    mask = np.random.default_rng(0).uniform(size=(1, 17, 12, 1)).astype(np.float32)
    kernel = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0]], np.float32)
    lowest = scipy.ndimage.minimum_filter(mask[0, ..., 0], footprint=kernel, mode="constant", cval=2)
    highest = scipy.ndimage.maximum_filter(mask[0, ..., 0], footprint=kernel, mode="constant", cval=-2)
    np.testing.assert_allclose(erode(mask, kernel)[0, ..., 0], lowest, atol=1e-6)
    np.testing.assert_allclose(dilate(mask, kernel)[0, ..., 0], highest, atol=1e-6)


def test_a_batch_may_be_empty():
    assert published_erosion(tf.zeros([0, 7, 5, 1])).shape == (0, 7, 5, 1)


def test_in_a_graph_with_open_sizes():
    arrays = golden("erosion")
    graph = tf.function(published_erosion, input_signature=[tf.TensorSpec([None, None, None, 1])])
    np.testing.assert_array_equal(graph(arrays["alpha"][:3]), arrays["alpha_out"][:3])


def test_refuses_other_kernels():
    with pytest.raises(ValueError, match="size must be odd and positive, got 4"):
        elliptical_kernel(4)
    for kernel in (np.zeros([3, 3]), np.ones([2, 3]), np.ones([3])):
        with pytest.raises(ValueError, match=r"kernel must be \[odd, odd\] with at least one 1"):
            dilate(tf.zeros([1, 3, 3, 1]), kernel)
