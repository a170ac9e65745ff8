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


def embeddings_of(cosines: dict[tuple[int, int], float], faces: int) -> np.ndarray:
    """Unit vectors [faces, E] with the cosines of some pairs, exactly; those of all other pairs are 0."""
    vectors = np.zeros((faces, len(cosines) + faces))
    for axis, ((i, j), cosine) in enumerate(cosines.items()):
        vectors[i, axis], vectors[j, axis] = 0.125, 8 * cosine
    vectors[:, len(cosines) :] = np.diag(np.sqrt(1 - np.square(vectors).sum(axis=1)))
    return vectors


def test_the_false_accept_rate_itself_is_allowed():
    """Of 1,000 different pairs, 10 are 1 %: those of the second threshold, in the middle of a straight stretch."""
    people = np.repeat([0, 1], [20, 50])
    cosines = {}
    for step, cosine in enumerate((3 / 64, 2 / 64, 1 / 64)):
        cosines |= {(5 * step + k, 20 + 5 * step + k): cosine for k in range(5)}  # two people
        cosines |= {(40 + 10 * step + k, 41 + 10 * step + k): cosine for k in (0, 2)}  # the same person
    measured = identity_metrics(embeddings_of(cosines, 70), people)
    same = 20 * 19 // 2 + 50 * 49 // 2
    assert measured["tar_at_far"] == {"0.01": round(4 / same, 4), "0.001": None}


def test_mean_cosines_of_both_kinds_of_pairs():
    embeddings = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    measured = identity_metrics(embeddings, np.array([7, 7, 9]))
    assert (measured["same"], measured["different"], measured["auc"]) == (0.6, 0.4, 0.5)
    assert (measured["people"], measured["faces"]) == (2, 3)
