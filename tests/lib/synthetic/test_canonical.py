"""Canonical places of face models whose regions do not hold everything."""

import dataclasses

import numpy as np

from lib.synthetic.appearance.canonical import EYES, CanonicalFace
from tests.support.golden_face import golden_face_model


def test_an_eye_that_the_region_of_the_irises_leaves_out_has_the_centre_of_its_landmarks():
    model = golden_face_model()
    right = model.mean_shape[:, 0] < -0.2
    for iris, missing in ((np.zeros(len(right)), (0, 1)), (1.0 * right, (1,))):
        face = CanonicalFace(dataclasses.replace(model, regions={"iris": iris}))
        assert np.isfinite(face.eye_centres).all()
        for side in missing:
            np.testing.assert_allclose(face.eye_centres[side], face.landmarks[list(EYES[side]), :2].mean(0))
