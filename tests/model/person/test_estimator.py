"""Batches of drafts of which some cannot be fitted."""

import pytest

from lib.errors import DiskFull
from model.person.estimator import fit_apart


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
