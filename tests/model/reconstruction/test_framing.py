"""The camera of pictures of whole heads from other sides."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from lib.geometry.camera import Camera
from model.morphable_model import MorphableModel
from model.reconstruction.export import Exporter
from model.reconstruction.new_views import LARGEST_FACE, framing, turned_mesh
from tests.support.golden_face import golden_face_model

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
HEAD = CORNERS * LARGEST_FACE  # a box whose corners are 2.9 dm from the middle of a head with hair


def test_a_camera_inside_the_head_is_refused():
    assert framing(HEAD, Camera(distance=3.2))[0].focal_ratio > 0
    for distance in (2.5, 1.0):
        with pytest.raises(UserError, match=rf"camera\.distance must be more than 2\.9 dm .* got {distance:g} \("):
            framing(HEAD, Camera(distance=distance))


@pytest.mark.parametrize("longer", [1.0, 1.4])
def test_a_head_with_long_hair_is_shown_as_a_whole(longer):
    camera = Camera((100, 100))
    long = np.where(HEAD[:, 1:2] < 0, HEAD * longer, HEAD)
    (framed, middle), (usual, _) = framing(HEAD, camera, long), framing(HEAD, camera)
    assert (framed == usual) == (longer == 1)
    for yaw in np.linspace(0, 2 * np.pi, 13):
        turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        pixels = framed.project(tf.constant(((long - middle) @ turn)[None], tf.float32))[0].numpy()
        assert pixels.min() > -1e-3
        assert pixels.max() < 100 + 1e-3
    assert framing(HEAD, Camera(distance=3.2), long)[0].focal_ratio > 0


def test_a_camera_near_a_face_stays_as_it_is():
    near = Camera(distance=1.0)
    assert framing(CORNERS * 0.5, near)[0] is near


def test_a_camera_inside_the_head_is_refused_before_the_work():
    morphable = SimpleNamespace(face_model=SimpleNamespace(mean_shape=HEAD))
    with pytest.raises(UserError, match=r"camera\.distance must be more than"):
        Exporter(morphable, Camera(distance=2.0), (), 256, False, Path("cache"))


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_what_an_expression_does_not_move_stays_in_its_place(yaw):
    """An open mouth makes a face longer; in an animation, its eyes must not rise."""
    morphable, camera = MorphableModel(golden_face_model()), Camera((100, 100))
    neutral = morphable.face_model.mean_shape
    lower = neutral[:, 1] < 0
    opened = np.where(lower[:, None], neutral * [1, 1.2, 1], neutral).astype(np.float32)
    shapes, turn = (tf.constant(shape[None]) for shape in (neutral, opened)), tf.constant([[0.0, yaw, 0.0]])
    places = [turned_mesh(morphable, shape, turn, camera, True)[1][0].numpy() for shape in shapes]
    np.testing.assert_allclose(places[1][~lower], places[0][~lower], atol=1e-5)
    assert np.abs(places[1][lower] - places[0][lower]).max() > 0.1
