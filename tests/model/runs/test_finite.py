"""model/runs/finite.py."""

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from model.runs.finite import check_finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_term_that_is_not_finite_is_named(tmp_path, value):
    terms = {"render": 0.5, "variance": tf.constant(value), "total": value}
    fault = rf"^loss term 'variance' of the regressor must be finite, got {value} at update 7 \(lower pretrain\."
    with pytest.raises(UserError, match=fault) as found:
        check_finite(terms, "regressor", 7, "pretrain", tmp_path / "latest.npz")
    assert "latest.npz" not in str(found.value), "there is no such state"
    (tmp_path / "latest.npz").touch()
    with pytest.raises(UserError, match=r"latest\.npz holds an earlier state\)$"):
        check_finite(terms, "regressor", 7, "pretrain", tmp_path / "latest.npz")


def test_finite_terms_pass(tmp_path):
    check_finite({"render": 1e30, "total": tf.constant(-2.0)}, "regressor", 0, "train", tmp_path / "latest.npz")
