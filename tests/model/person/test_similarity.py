"""Size and place of a face are told apart from its shape."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from model.person.similarity import Similarity
from tests.support.golden_face import small_face_model


@pytest.fixture(scope="module")
def mixed():
    """A model whose identities are growth, rise, turn about y, and a wide mouth of which a part is growth."""
    model = small_face_model(front_mask=np.ones(5, bool))
    points = model.mean_shape
    rise = np.broadcast_to([0.0, 0.1, 0.0], points.shape)
    turned = Rotation.from_rotvec([0, 1e-3, 0]).apply(points) - points
    wide = points * [0.1, 0.0, 0.0]
    return dataclasses.replace(model, identity_basis=np.stack([0.1 * points, rise, 20 * turned, wide]))


def test_growth_shift_and_turn_are_measured(mixed):
    parts = Similarity(mixed)
    np.testing.assert_allclose(parts(np.array([1.0, 0, 0, 0])), [0.1, 0, 0, 0, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(parts(np.array([0, 2.0, 0.5, 0])), [0, 0, 0.2, 0, 0, 0.01, 0], atol=1e-4)
    growth = parts(np.array([0, 0, 0, 1.0]))[0]
    assert 0.01 < growth < 0.09, "a face that is only wider has grown by a part of that"


def test_size_and_place_of_another_leave_the_shape(mixed):
    parts = Similarity(mixed)
    ours, other = np.array([1.0, -1.0, 0.5, 0.0]), np.array([-0.5, 0.3, 0.1, 0.0])
    found = parts.taken_from(ours, other)
    np.testing.assert_allclose(parts(found), parts(other), atol=1e-6)
    np.testing.assert_allclose(parts.taken_from(found, other), found, atol=1e-6)
    np.testing.assert_allclose(found[1:3], other[1:3], atol=1e-5)
    assert abs(found[3]) < abs(found[0] - ours[0]), "growth is the shorter way to another size than width"


def test_what_identities_cannot_do_is_left_alone(mixed):
    still = dataclasses.replace(mixed, identity_basis=np.zeros((1, 5, 3)))
    np.testing.assert_array_equal(Similarity(still).taken_from(np.array([1.0]), np.array([2.0])), [1.0])
