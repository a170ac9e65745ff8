"""Brows, eyes and beard of the photo belong to the albedo; smooth light does not."""

import numpy as np
import pytest
import tensorflow as tf

from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from model.reconstruction.albedo.detail import AlbedoDetail
from tests.support.faces import built_in_face

MODEL = built_in_face(2500)
FACE = CanonicalFace(MODEL)
X, Y, Z = FACE.points.T
REGION = dict(zip(REGIONS, FACE.regions.T, strict=True))
FRONT = np.asarray(MODEL.front_mask)
BROW = FRONT & (np.abs(Y - np.interp(np.abs(X), *FACE.brow_curves)) < 3) & (np.abs(X) > 14) & (np.abs(X) < 46)
CHIN = FRONT & MODEL.skin_mask & (Y < -44) & (np.abs(X) < 25) & (REGION["lips"] < 0.01)
CHEEK = FRONT & MODEL.skin_mask & (np.abs(Y - 5) < 12) & (np.abs(X) > 25) & (np.abs(X) < 45)
SKIN = np.array([0.7, 0.5, 0.4])
WHOLE = np.ones(MODEL.vertex_count)


def light(strength=0.4):
    """[N, 1] a smooth light from the side."""
    return np.exp(strength * np.tanh(X / 60))[:, None]


def detailed(appearance, readable=WHOLE):
    """The albedo of plain skin that appears so, as a share of the skin's colour [N, 3]."""
    plain = np.broadcast_to(SKIN, appearance.shape)
    inputs = (tf.constant(np.array(values, np.float32)[None]) for values in (plain, appearance, readable[:, None]))
    return AlbedoDetail(MODEL)(*inputs)[0].numpy() / SKIN


def test_light_and_shade_stay_out_of_the_albedo():
    albedo = detailed(SKIN * light())
    assert np.abs(albedo[FRONT] - 1).max() < 0.12
    assert np.abs(albedo[CHEEK] - 1).mean() < 0.02


@pytest.mark.parametrize(("part", "share"), [(BROW, 1.0), (CHIN, 0.7)], ids=["brows", "beard"])
def test_hair_darkens_the_albedo_whatever_the_light(part, share):
    appearance = SKIN * light() * np.where(part, 0.3, 1.0)[:, None]
    np.testing.assert_allclose(detailed(appearance)[part].mean(), 0.3**share, rtol=0.1)


@pytest.mark.parametrize("part", [BROW, CHIN], ids=["brows", "beard"])
def test_hair_does_not_shine(part):
    assert detailed(SKIN * np.where(part, 1.3, 1.0)[:, None])[part].max() < 1.01


def test_eyes_are_those_of_the_photo_in_the_hue_of_the_network():
    eye = (REGION["eye"] > 0.99) & FRONT
    bluish = np.where(eye[:, None], [1.0, 1.4, 1.9], 1.0)
    colours = detailed(SKIN * bluish)[eye].mean(axis=0)
    assert colours.mean() > 1.25
    assert colours.max() / colours.min() < 1.25


def test_the_side_that_the_photo_does_not_show_has_the_same_brow_but_its_own_eye():
    eye = (REGION["eye"] > 0.99) & FRONT
    albedo = detailed(SKIN * np.where(BROW | eye, 0.3, 1.0)[:, None], (X > 0).astype(float)).mean(axis=1)
    for side in (X > 20, X < -20):
        assert albedo[BROW & side].mean() < 0.4
    np.testing.assert_allclose(albedo[eye & (X < 0)], 1, rtol=1e-5)


def test_without_a_photo_the_albedo_stays_the_networks():
    np.testing.assert_array_equal(detailed(SKIN * light(), 0 * WHOLE).astype(np.float32), np.float32(1))


def test_detail_fades_towards_what_the_photo_does_not_show():
    albedo = detailed(SKIN * np.where(BROW, 0.3, 1.0)[:, None], (X > 24).astype(float)).mean(
        axis=1
    )  # and its mirror image
    first = np.flatnonzero(BROW & (X > 24))[np.argmin(X[BROW & (X > 24)])]
    assert albedo[first] > 0.5
    assert albedo[BROW & (X > 34)].max() < 0.35
