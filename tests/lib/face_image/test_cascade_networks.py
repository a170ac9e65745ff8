"""The networks of the cascade compute what the package's own models compute."""

import numpy as np
import tensorflow as tf
from mtcnn import MTCNN

from lib.face_image.cascade_networks import output_network, propose_network, refine_network


def test_the_networks_agree_with_those_of_the_package():
    ours = (propose_network(), refine_network(), output_network())
    for network, stage, side in zip(ours, MTCNN().stages, (31, 24, 48), strict=True):
        images = tf.random.stateless_uniform([3, side, side, 3], [side, 0], -1, 1)
        for found, wanted in zip(network(images), stage.model(images), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)
