"""Skin posterior against the published one."""

import numpy as np

from lib.face_mask import skin
from tests.support.helpers import assert_close, golden


def test_published_numbers():
    expected = golden("skin")
    posterior = skin.skin_posterior(expected["random_bgr"][..., ::-1] / 255)
    assert_close(posterior, expected["random_posterior"])
    mask = np.rint(255 * posterior).astype(int)
    assert np.abs(mask - expected["random_mask_255"]).max() <= 1
    for mixture, name in ((skin.SKIN, "skin"), (skin.NOT_SKIN, "nonskin")):
        assert_close(mixture.weights, expected[f"gmm_{name}_weights"], 1e-6)
        assert_close(mixture.means, expected[f"gmm_{name}_mean"], 1e-6)
        assert_close(mixture.precisions, expected[f"gmm_{name}_cov_inv"], 1e-6)
        assert_close(mixture.determinants, expected[f"gmm_{name}_cov_det"], 1e-6)


def test_mixtures_are_densities():
    for mixture in (skin.SKIN, skin.NOT_SKIN):
        assert abs(mixture.weights.sum() - 1) < 1e-6
        np.testing.assert_allclose(np.linalg.det(mixture.precisions) * mixture.determinants, 1, rtol=2e-3)


def test_colours_of_skin_and_of_the_rest():
    rgb = np.array([[224, 172, 143], [141, 85, 60], [60, 120, 200], [30, 200, 40], [128, 128, 128]]) / 255
    posterior = skin.skin_posterior(rgb)
    assert (posterior[:2] > 0.8).all()
    assert (posterior[2:] < 0.5).all()


def test_every_colour_has_a_posterior():
    corners = np.stack(np.meshgrid(*[[0.0, 0.25, 0.5, 0.75, 1.0]] * 3), axis=-1)
    posterior = skin.skin_posterior(corners)
    assert posterior.shape == (5, 5, 5)
    assert np.isfinite(posterior).all()
    assert (posterior >= 0).all()
    assert (posterior <= 1).all()
