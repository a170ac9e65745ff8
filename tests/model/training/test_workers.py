"""Division of batches among processes; benchmarks/distributed_training.py runs real ones."""

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from model.losses import masked_difference
from model.training.workers import Workers


def numbered(index: int, count: int) -> Workers:
    workers = Workers()
    workers.index, workers.count = index, count
    return workers


def test_the_parts_of_all_batches_are_the_batches():
    order, size = list(range(100, 124)), 6
    parts = [numbered(index, 3).part(order, size) for index in range(3)]
    for batch in range(4):
        joined = [crop for part in parts for crop in part[2 * batch : 2 * batch + 2]]
        assert joined == order[size * batch : size * (batch + 1)]
    assert Workers().part(order, size) == order


def test_the_rows_of_all_processes_are_the_batch():
    values = tf.reshape(tf.range(12), [6, 2])
    rows = [numbered(index, 3).rows(values) for index in range(3)]
    np.testing.assert_array_equal(tf.concat(rows, axis=0), values)
    np.testing.assert_array_equal(Workers().rows(values), values)


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match="must be a multiple of the 3 workers, got 4"):
        numbered(0, 3).local_size(4)


def test_the_mean_over_parts_is_that_of_the_batch_however_the_masks_differ():
    rng = np.random.default_rng(0)
    image, target = rng.uniform(size=(2, 4, 8, 8, 3))
    mask = np.zeros([4, 8, 8, 1])
    mask[0], mask[2, :3], mask[3, 0, 0] = 1, 1, 1
    halves = slice(0, 2), slice(2, 4)
    pixels = np.mean([mask[half].sum() for half in halves])
    terms = [masked_difference(image[half], target[half], mask[half], pixels) for half in halves]
    whole = masked_difference(image, target, mask)
    np.testing.assert_allclose(np.mean(terms), whole, rtol=1e-12)
    assert abs(np.mean([masked_difference(image[half], target[half], mask[half]) for half in halves]) - whole) > 1
