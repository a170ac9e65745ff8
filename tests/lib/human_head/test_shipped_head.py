"""The shipped head: where it comes from, and that it is one: proportions, closed lips, lids that close."""

import numpy as np
import pytest

from lib.human_head.building.lids import penetration
from lib.human_head.expressions import NAMES, PARTING, expression_prior
from lib.human_head.population import Mixture, Population
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.human_head.surface import build_surface
from lib.mesh_renderer.visibility import visible_triangles

WHEEL = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
# Adults' means (men, women) and standard deviation within a sex, mm; distances between two landmarks.
PUBLISHED = {
    (36, 45): (91, 87, 5), (27, 33): (52, 48, 4), (30, 33): (21, 20, 2.5), (33, 8): (70, 64, 5),
    (51, 57): (17, 17, 3), (33, 51): (15, 13, 2.5), (4, 12): (120, 110, 9), (0, 16): (143, 135, 7),
}  # fmt: skip


@pytest.fixture(scope="module")
def head():
    return HumanHead.load(SHIPPED)


@pytest.fixture(scope="module")
def surface(head):
    return build_surface(head)


@pytest.fixture(scope="module")
def mean(head, surface):
    return surface.mean(head.mean)


def test_file_is_small_and_names_its_origin(head):
    assert SHIPPED.stat().st_size < 5e6
    assert head.header["source sha256"] == WHEEL
    assert head.header["recipe"]["seed"] == 0
    assert WHEEL in (SHIPPED.parents[2] / "NOTICE").read_text()


def test_face_has_about_ten_thousand_vertices(surface, mean):
    assert 9500 < len(mean) < 11500
    np.testing.assert_array_equal(surface.mirror[surface.mirror], np.arange(len(mean)))


@pytest.mark.parametrize("area", ["face", "ears"])
def test_the_border_of_an_area_is_no_saw(head, area):
    """Over the forehead, where the quads are cut across, the border turns by a few degrees from edge to edge."""
    surface = build_surface(head, area)
    shape = surface.mean(head.mean)
    edges = np.sort(np.concatenate([surface.triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    border, count = np.unique(edges, axis=0, return_counts=True)
    border = border[count == 1]
    top = shape[:, 1] > shape[surface.landmarks[19:25], 1].max() + 0.3
    border = border[top[border].all(axis=1)]
    following = {}
    for a, b in np.concatenate([border, border[:, ::-1]]).tolist():
        following.setdefault(a, []).append(b)
    turns = []
    for middle, ends in following.items():
        if len(ends) == 2:
            first, second = shape[middle] - shape[ends[0]], shape[ends[1]] - shape[middle]
            cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
            turns.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert len(turns) > 40
    assert np.mean(turns) < 15


@pytest.fixture(scope="module")
def adults(head, surface, mean):
    """Landmarks [n, 68, 3] in millimetres of random adults, and whether they are men."""
    mixture = Mixture(Population(head.names["targets"]), **head.population)
    identity, people = mixture.draw(np.random.default_rng(1), 1500)
    basis = surface.displacements(head.identity)[:, surface.landmarks]
    shapes = 100 * (mean[surface.landmarks] + np.tensordot(identity, basis, 1))
    grown = people.age > 18
    return shapes[grown], people.male[grown] > 0.5


def test_people_of_the_mixture_have_unit_variance(head):
    identity, _ = Mixture(Population(head.names["targets"]), **head.population).draw(np.random.default_rng(2), 3000)
    assert np.abs(identity.std(axis=0) - 1).max() < 0.1
    assert np.abs(identity.mean(axis=0)).max() < 0.15


def test_proportions_are_those_of_people(adults):
    shapes, male = adults
    for (a, b), (men, women, spread) in PUBLISHED.items():
        distance = np.linalg.norm(shapes[:, a] - shapes[:, b], axis=1)
        for chosen, expected in ((male, men), (~male, women)):
            assert abs(distance[chosen].mean() - expected) < 2 * spread, (a, b)
            assert 0.45 * spread < distance[chosen].std() < 1.5 * spread, (a, b)
        # Men's faces are larger where published ones are.
        if men - women >= 4:
            assert distance[male].mean() > distance[~male].mean() + 1, (a, b)


def test_lips_of_random_people_are_closed(adults):
    shapes, _ = adults
    gap = shapes[:, 62, 1] - shapes[:, 66, 1]
    assert np.abs(gap).max() < 1.0


HALF, PIXELS = 0.8, 200  # extent [dm] and side of a front view


def visible_eyes(surface, shape) -> np.ndarray:
    """[2] mm^2 of the right and the left eyeball in a front view."""
    clip = np.column_stack([shape[:, :2] / HALF, -shape[:, 2] / 5, np.ones(len(shape))]).astype(np.float32)
    ids, _ = visible_triangles(clip[None], surface.triangles, (PIXELS, PIXELS))
    seen = surface.triangles[ids[0][ids[0] >= 0]]
    seen = seen[(surface.regions["eye"][seen] > 0.5).all(axis=1)]
    left = (shape[seen, 0].mean(axis=1) > 0).sum()
    return (200 * HALF / PIXELS) ** 2 * np.array([len(seen) - left, left])


@pytest.fixture(scope="module")
def blink(head, surface):
    return surface.displacements(head.expression[[NAMES.index("eyeBlinkRight"), NAMES.index("eyeBlinkLeft")]]).sum(0)


def test_lids_close_over_the_eyeballs_of_nearly_all_people(head, surface, mean, blink):
    """The build clears the mean head's eyeballs; data/README.md says what is left with others."""
    identity, _ = Mixture(Population(head.names["targets"]), **head.population).draw(np.random.default_rng(1), 100)
    basis = surface.displacements(head.identity)
    widest = np.array([visible_eyes(surface, mean + blink + np.tensordot(i, basis, 1)).max() for i in identity])
    assert (widest > 2).mean() <= 0.1
    assert widest.max() < visible_eyes(surface, mean).min() / 4


def test_lids_close_over_the_eyeballs(surface, mean, blink):
    assert visible_eyes(surface, mean).min() > 150
    assert visible_eyes(surface, mean + blink).max() == 0
    lids = (surface.regions["eyelids"] > 0.5) & (surface.regions["sockets"] < 0.5)
    for ball in surface.balls:
        near = lids & (np.linalg.norm(mean - ball.placement.centre, axis=1) < 0.2)
        for share in (0.25, 0.5, 0.75, 1.0):
            depth, _ = penetration((mean + share * blink)[near], ball.placement.centre, ball.placement.radius)
            at_rest, _ = penetration(mean[near], ball.placement.centre, ball.placement.radius)
            assert (depth - at_rest).max() < 0.004  # the clearance: nothing goes below the ball


def test_eyeballs_move_as_balls(head, surface, mean):
    ball = surface.balls[0]
    moved = mean[ball.rows] + 2 * surface.displacements(head.identity[:1])[0, ball.rows]
    before, after = (np.linalg.norm(p - p.mean(axis=0), axis=1) for p in (mean[ball.rows], moved))
    assert (after / before).std() < 1e-4
    expressions = surface.displacements(head.expression)
    assert np.abs(expressions[:, ball.rows]).max() == 0


def test_expressions_are_marked_one_sided(head):
    assert head.names["expressions"] == NAMES
    prior = expression_prior()
    assert prior.one_sided.all()
    assert (prior.sigma[[NAMES.index(name) for name in PARTING]] < 1).all()
    assert not {"tongueOut", "mouthClose"} & set(NAMES)
    assert not any(name.startswith("eyeLook") for name in NAMES)
