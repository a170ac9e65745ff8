"""Normal maps: dark is deep, in glTF's tangent space also where the chart is sheared."""

import numpy as np
import pytest

from lib.mesh_export.normal_map import COARSEST, FINEST, HEIGHT, detail_normals
from lib.mesh_export.uv_chart import rasterize_chart, tangents, texel_shapes, uncut

SIZE = 256
SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
HALVES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
BRIGHTNESS, CONTRAST = 0.5, 0.1  # mean of the albedo; amplitude of its log


def test_a_dark_spot_is_a_dent_in_opengl_s_convention():
    albedo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    row, column = np.indices((SIZE, SIZE))
    albedo *= (1 - 0.1 * np.exp(-((row - 128.0) ** 2 + (column - 128.0) ** 2) / 8))[..., None]
    ones = np.ones((SIZE, SIZE), np.float32)
    texels = np.full((SIZE, SIZE, 3), [0.005, 0.005, 0])
    normals = detail_normals(albedo, ones, texels.astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(normals * 2 - 1, axis=-1), 1, atol=1e-5)
    assert normals[128, 126, 0] > 0.51 > 0.49 > normals[128, 130, 0]  # walls look at the middle
    assert normals[130, 128, 1] > 0.51 > 0.49 > normals[126, 128, 1]  # rows go down, green goes up
    np.testing.assert_allclose(normals[20, 20], [0.5, 0.5, 1], atol=1e-4)
    hidden = detail_normals(albedo, 0 * ones, texels.astype(np.float32))
    np.testing.assert_allclose(hidden, np.tile([0.5, 0.5, 1], (SIZE, SIZE, 1)), atol=1e-6)
    doubled = detail_normals(albedo.astype(np.float64), ones.astype(np.float64), texels)
    np.testing.assert_allclose(doubled, normals, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shear", [0.0, 0.6, -0.9])
@pytest.mark.parametrize("wave", [(100.0, 0.0), (0.0, 100.0), (70.0, 80.0)])
def test_a_known_relief_on_a_sheared_chart_is_recovered(shear, mirrored, wave):
    """Furrows cos(wave * place) on a plane of a decimetre; viewers read the map in the frame of the mesh's tangents."""
    along = np.array([[-1.0 if mirrored else 1.0, 0, 0], [shear, 0.9, 0]])  # of u and v
    vertices = SQUARE @ along
    chart, normals = uncut(SQUARE, HALVES), np.tile([0.0, 0, 1], (4, 1))
    raster = rasterize_chart(chart, SIZE)
    row, column = np.indices((SIZE, SIZE)) + 0.5
    place = np.stack([column / SIZE, 1 - row / SIZE], axis=-1) @ along[:, :2]
    # What the two blurs leave of a wave with this number of radians a texel.
    step = along[:, :2] @ wave / SIZE
    left = np.exp(-0.5 * (step @ step) * (np.array([FINEST, COARSEST]) * SIZE) ** 2)
    amplitude = HEIGHT * CONTRAST * (left[0] - left[1])
    albedo = (BRIGHTNESS + 0.02) * np.exp(CONTRAST * np.cos(place @ wave)) - 0.02
    gradient = -amplitude * np.sin(place @ wave)[..., None] * np.array(wave)
    expected = np.concatenate([-gradient, np.ones((SIZE, SIZE, 1))], axis=-1)

    texels = raster.interpolate(texel_shapes(chart, vertices, SIZE))
    found = 2 * detail_normals(np.repeat(albedo[..., None], 3, axis=-1), np.ones((SIZE, SIZE)), texels) - 1
    tangent, sign = np.split(tangents(chart, vertices, normals)[0], [3])
    axes = np.stack([tangent, sign * np.cross(normals[0], tangent), normals[0]])
    found = (found / found[..., 2:]) @ axes
    inner = (slice(20, -20), slice(20, -20))
    largest = np.abs(gradient).max()
    assert largest > 0.01
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.06 * largest)
