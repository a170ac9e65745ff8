"""Light on hair."""

import numpy as np

from model.whole_head.scalp.colours import light_on_hair


def test_hair_has_light_of_one_hue_and_is_less_dark_than_skin_in_the_dark():
    brightness = np.array([0.2, 0.8, 0.8, 0.8, 1.4, 0.1], np.float32)
    light = brightness[:, None] * np.array([1.2, 1.0, 0.8], np.float32)
    light[0] = 0.2, 0.1, 0.3  # another hue in the dark
    on_hair = light_on_hair(light, np.array([True] * 5 + [False]))
    hues = on_hair / on_hair.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(hues, np.broadcast_to(hues[1], hues.shape), rtol=1e-6)
    np.testing.assert_allclose(on_hair[:5].mean(axis=1), [0.4, 0.8, 0.8, 0.8, 1.4], rtol=1e-6)
    assert on_hair[5].mean() > 0.1
