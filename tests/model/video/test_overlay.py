"""The face drawn over a frame."""

from types import SimpleNamespace

import numpy as np

from model.video.track import overlay


def test_a_face_in_the_colour_of_the_frame_has_no_rim():
    """Between pixels, too, where the warp mixes the face with the transparent black around it."""
    layers = np.zeros([20, 20, 4], np.float32)
    layers[5:15, 5:15] = 0.8, 0.6, 0.4, 1.0
    frame = np.full([50, 50, 3], np.array([0.8, 0.6, 0.4]) * 255).astype(np.uint8)
    reconstruct = SimpleNamespace(draw=lambda coefficients, albedo: layers)
    crop = np.array([[0.43, 0.0, -0.3], [0.0, 0.43, -0.2]])
    drawn = overlay(reconstruct, frame, crop, np.zeros(9, np.float32), np.zeros([4, 3], np.float32))
    np.testing.assert_allclose(drawn, frame, atol=1)
