"""Rows of a track: those of frames without the face, and the landmarks of all."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from model.morphable_model import MorphableModel
from model.tracking.frame_place import place_in_frame
from model.video.appearances import Appearance
from model.video.face_track import FittedFrame, frame_landmarks, smoothed_motion
from model.video.smoothing import smooth, stiffness
from tests.support.reconstruction_parts import untrained_parts


@pytest.fixture(scope="module")
def reconstruct():
    return SimpleNamespace(pipeline=untrained_parts())


def random_rows(pipeline, count):
    """Coefficients [count, K] and crops [count, 2, 3]."""
    generator = np.random.default_rng(4)
    coefficients = generator.normal(0, 0.2, (count, pipeline.face_model.layout.size)).astype(np.float32)
    crops = np.tile([[0.5, 0, 3], [0, 0.5, 2]], (count, 1, 1)) + generator.uniform(0, 0.1, (count, 2, 3)) * [1, 0, 1]
    return coefficients, crops * [[1, 0, 1], [0, 1, 1]]


def test_frames_without_the_face_repeat_the_nearest_one_as_smoothed(reconstruct):
    coefficients, crops = random_rows(reconstruct.pipeline, 9)
    fits = [FittedFrame(*row, gaze=None) for row in zip(coefficients, crops, strict=True)]
    frames = np.array([2, 3, 4, 5, 10, 11, 13, 14, 15])
    own = [Appearance(frames[:4], np.ones(1)), Appearance(frames[4:], np.ones(1))]
    motion = smoothed_motion(reconstruct, fits, frames, own, 18, stiffness(1.0, 25.0))
    expression = reconstruct.pipeline.face_model.layout.slices["expression"]
    assert np.abs(motion.coefficients[3] - coefficients[1])[expression].max() > 0.01  # it was smoothed
    assert len(np.unique(motion.coefficients[10:16], axis=0)) == 6  # the frame between is bridged
    for rows in motion[:2]:
        for frame, nearest in {0: 2, 1: 2, 6: 5, 7: 5, 8: 10, 9: 10, 16: 15, 17: 15}.items():
            np.testing.assert_array_equal(rows[frame], rows[nearest])


def test_pose_expression_light_and_gaze_are_smoothed(reconstruct, monkeypatch):
    pipeline, seen = reconstruct.pipeline, np.ones(9)
    layout, stiff = pipeline.face_model.layout, stiffness(1.0, 25.0)
    coefficients, crops = random_rows(pipeline, 9)
    gazes = np.random.default_rng(5).normal(0, 0.2, (9, 2))
    monkeypatch.setattr(pipeline.face_gcn.morphable, "eyes", "eyeballs")
    fits = [FittedFrame(*row) for row in zip(coefficients, crops, gazes, strict=True)]
    motion = smoothed_motion(reconstruct, fits, np.arange(9), [Appearance(np.arange(9), np.ones(1))], 9, stiff)
    for name in ("expression", "angles", "light"):
        part = layout.slices[name]
        expected = smooth(coefficients[:, part].astype(np.float64), seen, stiff)
        assert np.abs(expected - coefficients[:, part]).max() > 0.1
        np.testing.assert_allclose(motion.coefficients[:, part], expected, atol=1e-6, err_msg=name)
    for name in ("identity", "albedo"):
        np.testing.assert_array_equal(motion.coefficients[:, layout.slices[name]], coefficients[:, layout.slices[name]])
    # The head's place is smoothed in the frame: crops jump.
    place = layout.slices["translation"]
    before, after = (place_in_frame(pipeline.camera, rows[:, place], crops) for rows in (coefficients, motion[0]))
    np.testing.assert_allclose(after, smooth(before, seen, stiff), atol=1e-4)
    np.testing.assert_allclose(motion.gaze, smooth(gazes, seen, stiff))
    assert np.abs(motion.gaze - gazes).max() > 0.1


def test_landmarks_are_the_model_s_without_the_rest_of_the_mesh(reconstruct, monkeypatch):
    pipeline = reconstruct.pipeline
    coefficients, crops = random_rows(pipeline, 3)
    in_crops = pipeline.face_gcn.morphable.posed(tf.constant(coefficients), pipeline.camera).landmarks.numpy()
    monkeypatch.setattr(MorphableModel, "placed", lambda *_: pytest.fail("the whole mesh is posed"))
    found = frame_landmarks(reconstruct, coefficients, crops)
    for seen, crop, wanted in zip(found, crops, in_crops, strict=True):
        np.testing.assert_allclose(seen @ crop[:, :2].T + crop[:, 2], wanted, atol=1e-3)
