"""Constants are read from TensorFlow Lite files; anything else is refused by its name."""

import numpy as np
import pytest

from lib.face_mask.person import BIAS, FEATURES, KERNEL, SHIPPED
from lib.network_files.tflite_constants import constants


def test_constants_come_in_the_order_of_their_names():
    content = SHIPPED.read_bytes()
    bias, kernel = constants(content, (BIAS, KERNEL))
    assert bias.shape == (1,)
    assert kernel.shape == (1, 2, 2, 16)
    assert kernel.dtype == np.float32
    assert 1 < np.abs(kernel).max() < 100


@pytest.mark.parametrize("name", ["nowhere", FEATURES], ids=["no tensor", "computed"])
def test_other_tensors_are_refused(name):
    with pytest.raises(ValueError, match=f"must be constants of the network, got '{name}'"):
        constants(SHIPPED.read_bytes(), (name,))
