"""What a photo shows behind a head: told from hair by its colours and by the person's outline."""

import numpy as np
import pytest

from model.whole_head.hair.wall import FEWEST, behind_head, enough, hair_to_wall

SIDE, SCALE = 200, 40.0  # of a picture, and its pixels per decimetre
NOTHING = np.zeros([SIDE, SIDE], np.float32)
HAIR, SKIN, WALL, GROUND = ([0.3, 0.2, 0.1], [0.8, 0.6, 0.5], [0.1, 0.5, 0.2], [0.1, 0.1, 0.12])


def disc(radius: float) -> np.ndarray:
    """Bool [S, S], the middle of the picture up to a radius, decimetres."""
    row, column = np.indices((SIDE, SIDE)) + 0.5 - SIDE / 2
    return np.hypot(row, column) < radius * SCALE


def odds(hair: float, wall: float, head: float = 1.0, person: np.ndarray = NOTHING, colour: list = WALL) -> np.ndarray:
    """[S, S] for hair and a wall of these radii, on a plain ground, and a bare head; its lower half is skin."""
    skin = disc(head) & (np.arange(SIDE)[:, None] > SIDE / 2)
    image = np.select([part[..., None] for part in (skin, disc(hair), disc(wall))], [SKIN, HAIR, colour], GROUND)
    image = np.float32(image + np.random.default_rng(0).normal(0, 0.01, image.shape))
    return hair_to_wall(image, person, disc(head), disc(head) & ~skin, skin, ~disc(head), SCALE)


@pytest.mark.parametrize("hair", [0.9, 1.0, 1.3], ids=["thinner than the head", "as thick", "thicker"])
def test_a_wall_near_the_head_is_not_hair_although_another_one_is_farther_away(hair):
    found, inner = odds(hair, wall=1.6), disc(hair - 0.05)
    upper = np.arange(SIDE)[:, None] < SIDE / 2 - 5
    assert np.median(found[disc(1.6) & ~disc(hair)]) < -1
    assert np.median(found[~disc(1.6) & disc(2.1)]) < -1
    assert np.median(found[inner & upper]) > 1
    drawn = behind_head(found, disc(1.25), np.ones_like(inner))
    assert drawn[disc(1.25) & ~disc(hair + 0.05) & upper].all(), "under the head as it is drawn"
    assert not drawn[inner & upper].any()


def test_hair_in_the_colours_of_the_wall_stays_within_other_hair():
    values = np.where(disc(1.0), 2.0, -2.0)
    values[disc(0.3)] = -2
    behind = behind_head(values, disc(1.2), np.ones_like(disc(1.0)))
    assert not behind[disc(0.9)].any()
    assert behind[~disc(1.1)].all()


def test_hair_that_cannot_be_told_from_the_wall_is_nowhere_behind_the_head():
    same = np.full([SIDE, SIDE, 3], 0.1, np.float32)
    nothing = np.zeros([SIDE, SIDE], bool)
    found = hair_to_wall(same, NOTHING, disc(1), disc(1), nothing, ~disc(1), SCALE)
    assert not behind_head(found, disc(1), ~nothing).any()


@pytest.mark.parametrize(("scale", "pixels"), [(101.5, 100), (464.0, 2089), (14.5, FEWEST)])
def test_the_area_that_tells_colours_is_the_same_in_crops_of_any_size(scale, pixels):
    assert np.ceil(enough(scale)) == pixels


def test_too_small_a_wall_tells_nothing():
    image, nothing = np.zeros([SIDE, SIDE, 3], np.float32), np.zeros([SIDE, SIDE], bool)
    for pixels, told in ((15, False), (16, True)):
        wall = np.flatnonzero(~disc(1.2) & disc(1.4))[:pixels]
        around = np.isin(np.arange(SIDE**2), wall).reshape(SIDE, SIDE)
        found = hair_to_wall(image, NOTHING, disc(1), disc(1), nothing, around, SCALE)
        assert (found is not None) == told


def test_the_persons_outline_tells_hair_from_a_wall_of_its_colour():
    found = odds(1.3, wall=5, person=np.where(disc(1.3), 2.0, -2.0), colour=HAIR)
    assert np.median(found[disc(1.25)]) > 1
    assert np.median(found[~disc(1.35)]) < -1


def test_where_all_around_is_the_person_there_is_no_wall():
    image = np.random.default_rng(0).uniform(0, 1, [SIDE, SIDE, 3]).astype(np.float32)
    nothing = np.zeros([SIDE, SIDE], bool)
    assert hair_to_wall(image, NOTHING + 10, disc(1), disc(1), nothing, ~disc(1), SCALE) is None
