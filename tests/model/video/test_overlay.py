"""The face drawn over a frame."""

from types import SimpleNamespace

import numpy as np

from model.video.track import drawn, overlay


def test_a_face_in_the_colour_of_the_frame_has_no_rim():
    """Between pixels, too, where the warp mixes the face with the transparent black around it."""
    layers = np.zeros([20, 20, 4], np.float32)
    layers[5:15, 5:15] = 0.8, 0.6, 0.4, 1.0
    frame = np.full([50, 50, 3], np.array([0.8, 0.6, 0.4]) * 255).astype(np.uint8)
    reconstruct = SimpleNamespace(draw=lambda coefficients, albedo, gaze: layers)
    crop = np.array([[0.43, 0.0, -0.3], [0.0, 0.43, -0.2]])
    drawn = overlay(reconstruct, frame, crop, np.zeros(9, np.float32), np.zeros([4, 3], np.float32))
    np.testing.assert_allclose(drawn, frame, atol=1)


def test_the_face_is_drawn_where_its_crop_lies_and_only_where_it_is_shown():
    layers = np.zeros([20, 20, 4], np.float32)
    layers[4:12, 6:16] = 0.0, 1.0, 0.0, 1.0
    reconstruct = SimpleNamespace(draw=lambda coefficients, albedo, gaze: layers)
    crop = np.array([[0.25, 0.0, 1.0], [0.0, 0.2, -2.0]])  # pixels of the frame to pixels of the crop
    shown = [True, False, True]
    track = SimpleNamespace(shown=shown, photo_to_crop=[crop] * 3, coefficients=np.zeros([3, 9], np.float32), gaze=None)
    frames = [np.zeros([90, 80, 3], np.uint8)] * 3
    pictures = list(drawn(reconstruct, frames, track, np.zeros([4, 3], np.float32)))
    assert [bool(picture.any()) for picture in pictures] == shown
    for picture in (pictures[0], pictures[2]):
        assert not picture[..., [0, 2]].any()
        green = picture[..., 1].astype(float)
        centre = [(green * (axis + 0.5)).sum() / green.sum() for axis in np.indices(green.shape)[::-1]]
        np.testing.assert_allclose(centre, (np.array([11.0, 8.0]) - crop[:, 2]) / np.diag(crop), atol=0.2)
