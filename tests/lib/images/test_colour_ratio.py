"""Odds of a colour between two sets of samples."""

import numpy as np

from lib.images.colour_ratio import BOUND, ColourRatio, density, without

HAIR, WALL, OTHER = ([0.3, 0.2, 0.1], [0.2, 0.4, 0.9], [0.9, 0.1, 0.1])


def samples(colour: list, count: int = 300) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.01, (count, 3))
    return np.float32(np.clip(np.array(colour) + noise, 0, 1))


def test_colours_of_one_set_are_told_from_the_other_and_unknown_ones_are_undecided():
    ratio = ColourRatio(density(samples(HAIR)), density(samples(WALL, 20)))
    ours, theirs, unknown = ratio(np.float32([HAIR, WALL, OTHER]))
    assert ours == BOUND
    assert theirs == -BOUND
    assert abs(unknown) < 0.05
    assert ratio(np.zeros((4, 5, 3), np.float32)).shape == (4, 5)


def test_a_colour_of_both_is_undecided():
    same = density(samples(HAIR))
    assert abs(ColourRatio(same, same)(np.float32(HAIR))) < 1e-6


def test_a_part_is_taken_out_of_a_mixture_but_not_out_of_itself():
    part, mixture = density(samples(HAIR)), density(np.concatenate([samples(HAIR, 90), samples(WALL, 210)]))
    hair, wall = np.float32(HAIR), np.float32(WALL)
    mixed, rest = ColourRatio(part, mixture), ColourRatio(part, without(mixture, part))
    assert rest(hair) > mixed(hair) + 0.5
    assert rest(wall) == mixed(wall) == -BOUND
    np.testing.assert_allclose(without(part, part), part)


def test_samples_count_by_their_weights():
    both, weights = np.concatenate([samples(HAIR), samples(WALL)]), np.repeat([1.0, 0.0], 300)
    np.testing.assert_allclose(density(both, weights), density(samples(HAIR)))
