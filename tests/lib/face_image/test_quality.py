"""Reasons for leaving a face out say what was measured and what is needed."""

import pickle

import cv2
import numpy as np
import pytest
import skimage.data

from lib.face_image import quality

CROP = np.ascontiguousarray(skimage.data.astronaut()[30:254, 110:334])
FACE = np.zeros((224, 224), bool)
FACE[50:180, 60:160] = True


def test_size():
    assert quality.check_size(100.0, 48) == pytest.approx(140)
    with pytest.raises(quality.Unusable, match=r"face too small: 28 px wide, needs 48") as caught:
        quality.check_size(20.0, 48)
    assert caught.value.kind == "too small"
    copied = pickle.loads(pickle.dumps(caught.value))  # as from a worker process
    assert (copied.kind, str(copied)) == ("too small", str(caught.value))


def test_blur_grows_with_blurring():
    blurs = [quality.check_sharpness(cv2.GaussianBlur(CROP, (0, 0), s) if s else CROP, 1.0) for s in (0, 1, 2, 4)]
    assert blurs == sorted(blurs)
    assert blurs[0] < 0.6 < 0.75 < blurs[-1]
    with pytest.raises(quality.Unusable, match=r"blurred: blur 0\.8\d of 1, at most 0\.72"):
        quality.check_sharpness(cv2.GaussianBlur(CROP, (0, 0), 4), 0.72)
    with pytest.raises(quality.Unusable, match="blurred"):  # nothing to see at all
        quality.check_sharpness(np.zeros_like(CROP), 0.72)


def test_what_just_misses_a_limit_is_not_shown_as_the_limit():
    with pytest.raises(quality.Unusable, match=r"face too small: 47\.98 px wide, needs 48"):
        quality.check_size(47.98 / quality.FACE_BREADTH, 48)
    blur = quality.check_sharpness(CROP, 1.0)
    with pytest.raises(quality.Unusable, match=rf"blurred: blur {blur:.3f}\d* of 1, at most {blur - 1e-4:g}"):
        quality.check_sharpness(CROP, blur - 1e-4)
    silhouette, inside = np.zeros_like(FACE), np.zeros_like(FACE)
    silhouette[:10, :100] = True
    inside.flat[np.flatnonzero(silhouette)[:696]] = True
    with pytest.raises(quality.Unusable, match=r"face cut off: 69\.6% of it is inside the photo, needs 70%"):
        quality.check_mask(silhouette * 1.0, silhouette, inside, False)
    few = np.zeros(FACE.shape)
    few.flat[np.flatnonzero(silhouette)[:396]] = 1
    with pytest.raises(quality.Unusable, match=r"it has 39\.6% of the expected area, needs 40% to 150%"):
        quality.check_mask(few, silhouette, silhouette, False)


def test_a_percentage_that_is_its_limit_by_rounding_is_shown_as_it_is():
    assert quality._unlike(70.0, 70.0, 0) == "70"


def test_masks_that_follow_something_else():
    everywhere = np.ones_like(FACE)
    assert quality.check_mask(FACE.astype(np.float32), FACE, everywhere, False) == 1
    for alpha in (np.zeros(FACE.shape), np.ones(FACE.shape)):
        with pytest.raises(quality.Unusable, match="mask failed: it has"):
            quality.check_mask(alpha, FACE, everywhere, False)
    half = np.arange(224) < 110
    with pytest.raises(quality.Unusable, match="face cut off: 50% of it is inside the photo, needs 70%"):
        quality.check_mask(FACE * 1.0, FACE, np.broadcast_to(half, FACE.shape), False)
    assert quality.check_mask(FACE * half, FACE, everywhere, True) == 0.5
    with pytest.raises(quality.Unusable, match="the given mask is empty"):
        quality.check_mask(np.zeros(FACE.shape), FACE, everywhere, True)
    beside = np.roll(FACE, 110, axis=1) & ~FACE  # another face's
    with pytest.raises(quality.Unusable, match="the given mask is empty"):
        quality.check_mask(beside * 1.0, FACE, everywhere, True)
    with pytest.raises(quality.Unusable, match="face cut off"):
        quality.check_mask(FACE * 1.0, FACE, np.broadcast_to(half, FACE.shape), True)
