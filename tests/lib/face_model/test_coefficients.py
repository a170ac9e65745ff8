import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.face_model.coefficients import CoefficientLayout

LAYOUT = CoefficientLayout(4, 2, 3)


def test_order_and_sizes():
    parts = LAYOUT.split(np.arange(42.0)[None])
    assert LAYOUT.size == 42
    np.testing.assert_array_equal(parts.identity, [[0, 1, 2, 3]])
    np.testing.assert_array_equal(parts.expression, [[4, 5]])
    np.testing.assert_array_equal(parts.albedo, [[6, 7, 8]])
    np.testing.assert_array_equal(parts.angles, [[9, 10, 11]])
    np.testing.assert_array_equal(parts.light, [np.arange(12, 39)])
    np.testing.assert_array_equal(parts.translation, [[39, 40, 41]])


def test_the_basel_model_has_257_with_the_published_slots():
    layout = CoefficientLayout(80, 64, 80)
    assert layout.size == 257
    assert layout.slices["angles"] == slice(224, 227)
    assert layout.slices["light"] == slice(227, 254)
    assert layout.slices["translation"] == slice(254, 257)


def test_join_undoes_split_for_arrays_and_tensors():
    flat = np.random.default_rng(0).normal(size=(2, 5, 42)).astype(np.float32)
    joined = LAYOUT.join(LAYOUT.split(flat))
    assert isinstance(joined, np.ndarray)
    np.testing.assert_array_equal(joined, flat)

    @tf.function(input_signature=[tf.TensorSpec([None, 42])])
    def round_trip(batch):
        return LAYOUT.join(LAYOUT.split(batch))

    np.testing.assert_array_equal(round_trip(flat[0]), flat[0])


def test_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match=r"must be \[..., 42\] \(4 identity \+ 2 expression.*got \[1, 257\]"):
        LAYOUT.split(np.zeros((1, 257)))
    parts = LAYOUT.split(np.zeros((1, 42)))
    with pytest.raises(ValueError, match=r"identity must be \[..., 5\], got \[1, 4\]"):
        CoefficientLayout(5, 2, 3).join(parts)
    with pytest.raises(ValueError, match="expression coefficients must not be negative, got -1"):
        CoefficientLayout(5, -1, 3)


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(0, 12)] * 3),
    st.lists(st.integers(0, 3), max_size=2),
)
def test_split_and_join_are_inverse_for_any_layout_and_batch(counts, batch):
    layout = CoefficientLayout(*counts)
    flat = np.arange(np.prod(batch, dtype=int) * layout.size, dtype=np.float64).reshape(*batch, layout.size)
    parts = layout.split(flat)
    assert layout.size == sum(counts) + 33
    assert {name: getattr(parts, name).shape for name in layout.counts} == {
        name: (*batch, count) for name, count in layout.counts.items()
    }
    np.testing.assert_array_equal(layout.join(parts), flat)
