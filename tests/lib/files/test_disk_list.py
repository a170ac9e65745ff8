"""The list on disk."""

import numpy as np
import pytest
import tensorflow as tf

from lib.files.disk_list import DiskList


def test_items_come_back_in_order_and_again():
    spill = DiskList()
    for index in range(3):
        spill.append({"array": np.full(1000, index), "tensor": tf.constant([float(index)])})
    assert len(spill) == 3
    assert spill[2]["tensor"].numpy() == 2
    spill.append("later")
    for _ in range(2):
        assert [np.max(item["array"]) for item in list(spill)[:3]] == [0, 1, 2]
    assert spill[3] == "later"
    with pytest.raises(IndexError):
        spill[4]
