import numpy as np
import pytest

from model.metrics.networks import identity_metrics


def test_the_area_under_the_curve_is_the_share_of_ordered_pairs():
    # Few distinct embeddings, so that many pairs have equal cosines.
    generator = np.random.default_rng(2)
    angles, identities = generator.integers(0, 5, 30) * 0.3, generator.integers(0, 12, 30)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    first, second = np.triu_indices(30, 1)
    cosines, same = (embeddings @ embeddings.T)[first, second], identities[first] == identities[second]
    ordered = [1.0 if p > n else 0.5 if p == n else 0.0 for p in cosines[same] for n in cosines[~same]]
    measured = identity_metrics(embeddings, identities)
    assert measured["auc"] == pytest.approx(np.mean(ordered), abs=1e-5)
    assert 0.2 < measured["auc"] < 0.8


def test_the_true_accept_rate_is_that_of_the_best_threshold():
    # Noisy embeddings: same and different pairs overlap. 19,600 pairs are enough for one false accept in 1,000.
    generator = np.random.default_rng(3)
    identities = np.repeat(np.arange(50), 4)
    embeddings = generator.normal(size=(50, 8))[identities] + 0.4 * generator.normal(size=(200, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(200, 1)
    cosines, same = (embeddings @ embeddings.T)[first, second], identities[first] == identities[second]
    rates = identity_metrics(embeddings, identities)["tar_at_far"]
    assert rates.keys() == {"0.01", "0.001"}
    for far, tar in rates.items():
        best = max((cosines[same] >= t).mean() for t in cosines if (cosines[~same] >= t).mean() <= float(far))
        assert tar == pytest.approx(best, abs=1e-4)
    assert 0.1 < rates["0.001"] < rates["0.01"] < 0.95


def test_a_rate_that_too_few_pairs_measure_is_left_out():
    embeddings = np.eye(3)[np.arange(60) % 3]
    measured = identity_metrics(embeddings, np.arange(60) % 3)  # 1,200 pairs of different people
    assert measured["auc"] == 1.0
    assert measured["tar_at_far"] == {"0.01": 1.0, "0.001": None}


def test_pairs_of_one_kind_measure_nothing():
    with pytest.raises(ValueError, match="only one kind"):
        identity_metrics(np.eye(3)[[0, 0, 1, 1, 2]], np.arange(5))
