"""model/runs/finite.py."""

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from model.runs.finite import SeeingCheck, check_finite


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


def test_training_whose_options_cannot_change_starts_again():
    with pytest.raises(UserError, match=r"\(lower mask\.learning_rate, which starts this training again\)$"):
        check_finite({"total": np.nan}, "mask", 7, "mask")


def test_finite_terms_pass(tmp_path):
    check_finite({"render": 1e30, "total": tf.constant(-2.0)}, "regressor", 0, "train", tmp_path / "latest.npz")


def test_a_run_that_sees_nothing_for_long_stops():
    check = SeeingCheck()
    for update in range(SeeingCheck.LIMIT - 1):
        check({"render": 0.0, "project": 0.0, "coarse": 0.3}, update)
    with pytest.raises(UserError, match=f"got no pixel of them in {SeeingCheck.LIMIT} updates up to 49"):
        check({"render": 0.0, "project": 0.0, "coarse": 0.3}, 49)


def test_single_blind_updates_and_other_terms_do_not_stop_a_run():
    check = SeeingCheck()
    for update in range(5 * SeeingCheck.LIMIT):
        check({"render": 0.0, "project": 0.1 if update % 40 == 0 else 0.0}, update)
        check({"coarse": 0.0}, update)
