"""Textured pictures against the renderer's own interpolation, and in simple cases by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.mesh_renderer import textured
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.mesh_renderer.textured import draw_textured

UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
TEXTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def plane(side=1.0):
    """Clip coordinates of a square in the middle of the picture."""
    return np.column_stack([(2 * UV - 1) * side, np.zeros(4), np.ones(4)])


def test_a_plane_that_fills_the_picture_is_its_texture():
    drawn = draw_textured(plane(), TRIANGLES, UV, np.repeat(np.repeat(TEXTURE, 8, 0), 8, 1), 64)
    np.testing.assert_allclose(drawn[..., :3] * 255, TEXTURE, atol=12)  # bilinear at the borders of the blocks
    np.testing.assert_array_equal(drawn[..., 3], np.ones((64, 64)))


def test_a_texture_finer_than_the_picture_is_averaged():
    fine = np.zeros((512, 512, 3), np.uint8)
    fine[:, ::2] = 255
    np.testing.assert_allclose(draw_textured(plane(), TRIANGLES, UV, fine, 64)[..., :3], 0.5, atol=0.01)


def test_the_border_is_a_share_and_its_colour_is_not_mixed_with_anything():
    white = np.full((8, 8, 3), 255, np.uint8)
    drawn = draw_textured(plane(side=31 / 64), TRIANGLES, UV, white, 64)
    shares = np.unique(drawn[32, :, 3])
    np.testing.assert_allclose(shares, [0, 0.5, 1])
    np.testing.assert_allclose(drawn[..., :3][drawn[..., 3] > 0], 1, atol=1e-6)


def test_perspective_is_that_of_the_renderer():
    camera = Camera((96, 96))
    corners = np.array([[-1, -1, 1.5], [1, -1, -3], [1, 1, -3], [-1, 1, 1.5]], np.float32) * [0.9, 0.9, 1]
    clip = camera.clip_coordinates(tf.constant(corners[None], tf.float32))
    fragments = rasterize(clip, TRIANGLES, (96, 96))
    u = interpolate(tf.constant(UV[None]), TRIANGLES, fragments)[0, ..., 0].numpy()
    ramp = np.uint8(np.tile(np.arange(256)[None, :, None], (256, 1, 3)))
    drawn = draw_textured(clip[0].numpy(), TRIANGLES, UV, ramp, 96)
    whole = drawn[..., 3] == 1
    assert whole.mean() > 0.2
    np.testing.assert_allclose(drawn[..., 0][whole], u[whole], atol=0.01)


def test_shading_multiplies_and_clips():
    grey = np.full((8, 8, 3), 128, np.uint8)
    shading = np.tile([0.5, 1.0, 3.0], (4, 1))
    drawn = draw_textured(plane(), TRIANGLES, UV, grey, 16, shading)
    np.testing.assert_allclose(drawn[8, 8], [64 / 255, 128 / 255, 1, 1], atol=1e-5)


@pytest.mark.parametrize("size", [10, 33])
def test_nothing_is_drawn_where_there_is_nothing(size):
    drawn = draw_textured(plane() * [0, 0, 1, 1], TRIANGLES, UV, TEXTURE, size)
    assert drawn.shape == (size, size, 4)
    np.testing.assert_array_equal(drawn, 0)


@pytest.mark.parametrize("samples", [1, 5_000, 20_000])
def test_bands_make_the_picture_of_one(monkeypatch, samples):
    corners = np.array([[-1, -1, 1.5], [1, -1, -3], [1, 1, -3], [-1, 1, 1.5]], np.float32) * [0.9, 0.9, 1]
    clip = Camera((33, 33)).clip_coordinates(tf.constant(corners[None], tf.float32))[0].numpy()
    shading = np.random.default_rng(1).uniform(0, 2, (4, 3))
    whole = draw_textured(clip, TRIANGLES, UV, TEXTURE, 33, shading)
    assert 0.2 < whole[..., 3].mean() < 1
    monkeypatch.setattr(textured, "BAND_SAMPLES", samples)
    np.testing.assert_array_equal(draw_textured(clip, TRIANGLES, UV, TEXTURE, 33, shading), whole)


def test_a_large_picture_takes_little_more_memory_than_its_pixels():
    """In a process of its own, whose peak memory tells: 67 MB are the picture; all samples at once take 1,200."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    program = (
        "import re; from pathlib import Path; import numpy as np; from lib.mesh_renderer.textured import draw_textured;"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]);"
        "uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32); clip = np.column_stack([2 * uv - 1, 0 * uv]);"
        "clip[:, 3] = 1; faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32);"
        "white = np.full((64, 64, 3), 255, np.uint8);"
        "draw = lambda size: draw_textured(clip, faces, uv, white, size, np.ones((4, 3)));"
        "draw(8); before = peak(); print(draw(2048).min(), (peak() - before) // 1024)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    least, megabytes = map(float, done.stdout.split())
    assert least == 1
    assert megabytes < 400
