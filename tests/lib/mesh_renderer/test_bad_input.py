"""Input that the rasteriser refuses, and triangles that it must not draw."""

import numpy as np
import pytest
import tensorflow as tf

from lib.mesh_renderer.fragments import interpolate, rasterize, triangle_ids
from tests.support.meshes import sheet

SIZE = (14, 18)
CLIP = np.zeros((1, 3, 4), np.float32)
ONE = np.array([[0, 1, 2]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vertices_that_are_no_numbers_draw_nothing(value):
    clip, triangles = sheet()
    clip = clip.astype(np.float32)
    expected = triangle_ids(clip, triangles, SIZE).numpy()
    clip[0, 7] = value
    ids = triangle_ids(clip, triangles, SIZE).numpy()
    touched = np.isin(triangles, 7).any(axis=1)
    assert np.array_equal(ids, np.where(touched[expected], -1, expected))


@pytest.mark.parametrize(
    ("clip", "triangles", "size", "message"),
    [
        (CLIP[0], ONE, (4, 4), r"clip_vertices must be \[B, N, 4\], got \(3, 4\)"),
        (CLIP[..., :3], ONE, (4, 4), r"clip_vertices must be \[B, N, 4\], got \(1, 3, 3\)"),
        (CLIP.astype(np.int32), ONE, (4, 4), "clip_vertices must be float32 or float64, got int32"),
        (CLIP, ONE[0], (4, 4), r"triangles must be \[F, 3\] with at least one row, got \(3,\)"),
        (CLIP, ONE[:0], (4, 4), r"triangles must be \[F, 3\] with at least one row, got \(0, 3\)"),
        (CLIP, ONE.astype(np.float32), (4, 4), "triangles must be integers, got float32"),
        (CLIP, ONE + 1, (4, 4), "triangles must hold vertex indices from 0 to 2, got 1 to 3"),
        (CLIP, ONE - 1, (4, 4), "triangles must hold vertex indices from 0 to 2, got -1 to 1"),
        (CLIP, ONE, (0, 4), r"image_size must be \(height, width\), both at least 1, got \(0, 4\)"),
        (CLIP, ONE, (4, -1), r"image_size must be \(height, width\), both at least 1, got \(4, -1\)"),
        (CLIP, ONE, (4, 4, 3), r"image_size must be \(height, width\)"),
    ],
)
def test_refused_arguments(clip, triangles, size, message):
    for function in (rasterize, triangle_ids):
        with pytest.raises(ValueError, match=message):
            function(clip, triangles, size)


def test_a_wrong_constant_index_is_found_while_tracing():
    with pytest.raises(ValueError, match="vertex indices from 0 to 2, got 1 to 3"):
        tf.function(lambda: triangle_ids(CLIP, ONE + 1, (4, 4))).get_concrete_function()


def test_a_wrong_index_known_only_at_run_time_stops_the_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.int32)])
    def ids(triangles):
        return triangle_ids(CLIP, triangles, (4, 4))

    assert ids(ONE.astype(np.int32)).shape == (1, 4, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="vertex indices from 0 to 2, got 1 to 3"):
        ids(ONE.astype(np.int32) + 1)


def test_interpolate_refuses_other_ranks():
    fragments = rasterize(CLIP, ONE, (4, 4))
    with pytest.raises(ValueError, match=r"attributes must be \[B, N, C\], got \[3, 4\]"):
        interpolate(CLIP[0], ONE, fragments)
