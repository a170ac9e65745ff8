"""What tracking expects of expressions whose names are those of published face models."""

import dataclasses

import numpy as np
import pytest

from lib.face_model_files.formats import ict
from model.dense_landmarks.source import SHIPPED, at_texture_coordinates, read_points
from model.fitting.weights import FitWeights
from model.tracking.expected import ACCOMPANYING, LEADING, Expected
from tests.support.faces import built_in_face


def test_two_sides_of_one_blend_shape_are_expected_as_it_is():
    """ICT-FaceKit has inner brows and cheeks for each side, where ARKit has one name for both."""
    model = built_in_face(2500)
    points = at_texture_coordinates(model, read_points(SHIPPED["built-in face"]).uv)
    names = ["browInnerUp_L", "browInnerUp_R", "cheekPuff_L", "cheekPuff_R", "jawOpen"]
    names += [f"own{number}" for number in range(len(model.expression_basis) - len(names))]
    renamed = dataclasses.replace(model, expression_strength=ict.STRENGTH, expression_names=tuple(names))
    sigma = ict.STRENGTH * Expected.of(renamed, points, FitWeights().mesh_sigmas).prior.sigma
    wanted = [LEADING["browInnerUp"]] * 2 + [ACCOMPANYING] * 2 + [LEADING["jawOpen"]]
    np.testing.assert_allclose(sigma[:5], wanted, rtol=1e-6)
    assert sigma[5:] == pytest.approx(ACCOMPANYING)


def test_muscles_are_at_rest_rather_than_a_little_tense():
    """A coefficient of 2.5, the built-in face's full strength, costs 2; what has both signs costs nothing."""
    model = built_in_face(2500)
    points = at_texture_coordinates(model, read_points(SHIPPED["built-in face"]).uv)
    expected = Expected.of(model, points, FitWeights().mesh_sigmas)
    one_sided = np.asarray(expected.prior.one_sided, bool)
    assert 0 < one_sided.sum() < len(one_sided)
    np.testing.assert_allclose(2.5 * expected.rest, np.where(one_sided, 2.0, 0.0))
