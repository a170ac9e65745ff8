"""Lengths of vectors, bit for bit those of NumPy."""

import numpy as np
import pytest

from lib.geometry.lengths import lengths


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 3), (40, 50, 3)])
def test_lengths_are_numpys(dtype, shape):
    vectors = np.random.default_rng(0).normal(size=shape).astype(dtype)
    found = lengths(vectors)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.linalg.norm(vectors, axis=-1, keepdims=True))
