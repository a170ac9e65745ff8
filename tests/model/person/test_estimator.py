"""The joint fit's landmarks, and batches of drafts of which some cannot be fitted."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.errors import DiskFull
from model.fitting.person import PersonFitter
from model.fitting.weights import FitWeights
from model.person.estimator import JOINT_WEIGHTS, PersonEstimator, fit_apart
from tests.support.reconstruction_parts import SIZE, untrained_parts


def doubled(drafts):
    """Fits numbers in the drafts' place; negative ones cannot be fitted, nor more than three at once."""
    if len(drafts) > 3:
        raise MemoryError
    for draft in drafts:
        if draft < 0:
            raise ValueError(f"got {draft}")
    return [2 * draft for draft in drafts]


@pytest.mark.parametrize(
    ("drafts", "fitted", "bad"),
    [
        ([1, 2, 3], [2, 4, 6], []),
        ([1, -2, 3], [2, None, 6], [(1, "got -2")]),
        ([1, 2, 3, 4], [2, 4, 6, 8], []),
        ([-1], [None], [(0, "got -1")]),
    ],
)
def test_a_draft_that_cannot_be_fitted_does_not_cost_the_others(drafts, fitted, bad):
    failed = []
    assert fit_apart(doubled, drafts, lambda position, error: failed.append((position, str(error)))) == fitted
    assert failed == bad


def test_a_full_disk_is_nobodys_fault():
    def full(drafts):
        raise DiskFull("x")

    with pytest.raises(DiskFull):
        fit_apart(full, [1, 2], lambda *_: pytest.fail("it is not the draft's fault"))


def test_landmarks_of_the_user_are_as_exact_in_the_joint_fit_as_in_a_single_photo_s(monkeypatch):
    pipeline, seen = untrained_parts(), []
    weights, size = FitWeights(), pipeline.face_model.layout.size

    def photo(landmarks):
        face = SimpleNamespace(landmarks=landmarks, mesh=None, given="")
        alignment = SimpleNamespace(to_crop=np.asarray, points=np.zeros([5, 2]))
        return SimpleNamespace(
            face=face, alignment=alignment, rgb=np.zeros([SIZE, SIZE, 3]), covered=np.ones([SIZE] * 2)
        )

    def fit(fitter, targets, start, *_, **__):
        seen.append(fitter.weights.regressed_sigma / np.sqrt(targets.landmark_weight.numpy()))
        return SimpleNamespace(coefficients=start)

    monkeypatch.setattr(PersonFitter, "fit", fit)
    rows = np.zeros([2, size], np.float32)
    drafts = [
        SimpleNamespace(photo=photo(landmarks), mesh=None, alpha=np.ones([SIZE] * 2))
        for landmarks in (np.zeros([68, 2]), None)
    ]
    reconstruct = SimpleNamespace(pipeline=pipeline, learning_rate=0.05, weights=weights, mesh=None, steps=9)
    gallery = SimpleNamespace(drafts=drafts, coefficients=rows, regressed=rows)
    PersonEstimator(reconstruct).fit_shared(gallery)
    given, regressed = seen[0]
    np.testing.assert_allclose(given[17:], weights.given_sigma, rtol=1e-6)
    np.testing.assert_allclose(given[:17], weights.contour_sigma, rtol=1e-6)
    np.testing.assert_allclose(regressed, JOINT_WEIGHTS["regressed_sigma"])
