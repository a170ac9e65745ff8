"""Hair below the natural hairline is connected to the scalp, and wider than the arm of a pair of glasses."""

import numpy as np
import pytest

from lib.synthetic.appearance.canonical import CanonicalFace
from model.whole_head.scalp.hairline import Hairline


@pytest.fixture(scope="module")
def head(extended, count):
    """The hairline of the coarsest head and its vertices in canonical millimetres."""
    return Hairline(extended.model, count), CanonicalFace(extended.model).points


def share_of(head, part):
    """Share of hair where everything on the head is seen, and dark in a part and on the usual scalp."""
    hairline, places = head
    covered = (part | (hairline.usual > 0.5)).astype(np.float32)
    return hairline(np.ones(len(places), np.float32), covered)


@pytest.mark.parametrize(("half_width", "hairy"), [(3, False), (20, True)])
def test_a_strip_from_the_temple_to_the_brow_is_hair_if_it_is_wide(head, half_width, hairy):
    hairline, (x, y, z) = head[0], head[1].T
    strip = hairline.reach & (np.abs(y - 58) < half_width) & (x > 0) & (z > -60)
    middle = strip & (np.abs(y - 58) < 5) & (x > 20) & (hairline.usual < 0.5)
    assert middle.sum() >= 4
    found = share_of(head, strip)[middle].mean() - share_of(head, np.zeros_like(strip))[middle].mean()
    assert (found > 0.6) if hairy else (found < 0.2)


def test_a_dark_island_is_shadow(head):
    hairline, (x, y, z) = head[0], head[1].T
    island = hairline.reach & (np.hypot(x, y - 65) < 12) & (z > 0)
    assert island.sum() > 5
    assert share_of(head, island)[island].max() < 0.3


def test_short_hair_ends_level_at_the_nape(head):
    hairline, (x, y, z) = head[0], head[1].T
    behind = (z < -95) & (np.abs(x) < 45) & hairline.reach
    lower = [
        y[behind & (np.abs(x) >= start) & (np.abs(x) < start + 15) & (hairline.usual > 0.5)].min()
        for start in (0, 15, 30)
    ]
    assert max(lower) < -45
    assert np.ptp(lower) < 15
