"""The published package's interface: its functions, conventions and errors."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from lib.mesh_renderer import camera_utils, mesh_renderer, rasterize_triangles
from tests.support.helpers import assert_close
from tests.support.pictures.renderer_scenes import CENTER, EYE, SCENES, UP, scene_arrays


def quad(**changes):
    """Arguments of mesh_renderer for a unit square facing the camera, lit from it; batch of two."""
    vertices = np.array([[[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]] * 2, np.float32)
    arguments = {
        "vertices": vertices,
        "triangles": np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        "normals": np.tile(np.float32([0, 0, 1]), (2, 4, 1)),
        "diffuse_colors": np.full((2, 4, 3), 0.5, np.float32),
        "camera_position": np.float32([0, 0, 4]),
        "camera_lookat": np.float32([0, 0, 0]),
        "camera_up": np.float32([0, 1, 0]),
        "light_positions": np.array([[[0, 0, 1e6]]] * 2, np.float32),
        "light_intensities": np.ones((2, 1, 3), np.float32),
        "image_width": 12,
        "image_height": 8,
    }
    return arguments | changes


def test_signatures_of_the_package():
    expected = {
        mesh_renderer.phong_shader: "normals alphas pixel_positions light_positions light_intensities "
        "diffuse_colors=None camera_position=None specular_colors=None shininess_coefficients=None ambient_color=None",
        mesh_renderer.tone_mapper: "image gamma",
        mesh_renderer.mesh_renderer: "vertices triangles normals diffuse_colors camera_position camera_lookat "
        "camera_up light_positions light_intensities image_width image_height specular_colors=None "
        "shininess_coefficients=None ambient_color=None fov_y=40.0 near_clip=0.01 far_clip=10.0",
        rasterize_triangles.rasterize: "world_space_vertices attributes triangles camera_matrices image_width "
        "image_height background_value",
        rasterize_triangles.rasterize_clip_space: "clip_space_vertices attributes triangles image_width image_height "
        "background_value",
        rasterize_triangles.rasterize_triangles_module.rasterize_triangles: "vertices triangles image_width "
        "image_height",
        camera_utils.perspective: "aspect_ratio fov_y near_clip far_clip",
        camera_utils.look_at: "eye center world_up",
        camera_utils.euler_matrices: "angles",
        camera_utils.transform_homogeneous: "matrices vertices",
    }
    for function, text in expected.items():
        parameters = inspect.signature(function).parameters.values()
        names = [
            parameter.name + ("" if parameter.default is parameter.empty else f"={parameter.default}")
            for parameter in parameters
        ]
        assert names == text.split(), function.__name__


@pytest.mark.parametrize("scene", SCENES)
def test_reference_rasterization(scene):
    arrays = scene_arrays(scene)
    stable = arrays["stable_mask"] == 1
    image = rasterize_triangles.rasterize(
        arrays["world_vertices"][None],
        arrays["attributes"][None],
        arrays["triangles"],
        arrays["mvp"][None],
        64,
        64,
        [-1.0] * 4,
    )
    assert_close(image.numpy()[0][stable], arrays["attr_image"][stable])
    for vertices in (arrays["clip_vertices"], arrays["clip_vertices"][None]):
        result = rasterize_triangles.rasterize_triangles(vertices, arrays["triangles"], 64, 64)
        barycentrics, ids, depth = (value.numpy().reshape(64, 64, -1) for value in result)
        assert result.triangle_ids.dtype == tf.int32
        assert np.array_equal(ids[..., 0][stable], arrays["triangle_ids"][stable])
        assert_close(barycentrics[stable], arrays["barycentrics"][stable])
        assert_close(depth[..., 0][stable], arrays["z_buffer"][stable], 1e-6)


@pytest.mark.parametrize("scene", SCENES)
def test_reference_rendering_and_its_gradients(scene):
    arrays = scene_arrays(scene)
    vertices, colors = tf.constant(arrays["world_vertices"][None]), tf.constant(arrays["attributes"][None, :, :3])
    with tf.GradientTape() as tape:
        tape.watch([vertices, colors])
        image = mesh_renderer.mesh_renderer(
            vertices,
            arrays["triangles"],
            tf.ones_like(vertices),
            colors,
            EYE,
            CENTER,
            UP,
            tf.zeros([1, 1, 3]),
            tf.zeros([1, 1, 3]),
            64,
            64,
            ambient_color=tf.ones([1, 3]),
            fov_y=12.5936,
            far_clip=50.0,
        )
        loss = tf.reduce_sum(arrays["w_rgb"] * image[0, ..., :3])
    vertex_gradient, color_gradient = tape.gradient(loss, [vertices, colors])
    stable = arrays["stable_mask"][::-1] == 1
    assert_close(image.numpy()[0][stable], arrays["render_rgba"][stable])
    assert_close(loss, arrays["loss_rgb"])
    assert_close(vertex_gradient[0], arrays["grad_world_vertices"], 1e-3)
    assert_close(color_gradient[0], arrays["grad_colors"], 1e-3)


def test_background_value_and_rows_from_the_bottom():
    clip = np.array([[[-1, -1, 0, 1], [1, -1, 0, 1], [-1, 0, 0, 1]]], np.float32)
    image = rasterize_triangles.rasterize_clip_space(clip, np.ones((1, 3, 2)), [[0, 1, 2]], 2, 2, [-3.0, 4.0])
    assert image.numpy()[0].tolist() == [[[1, 1], [-3, 4]], [[-3, 4], [-3, 4]]]


def test_diffuse_light_by_hand():
    image = mesh_renderer.mesh_renderer(**quad(ambient_color=[[0.2, 0.4, 0.0], [0.0, 0.0, 0.0]])).numpy()
    assert image.shape == (2, 8, 12, 4)
    lit = image[..., 3] == 1
    assert lit[0, 3:5, 4:8].all()
    assert not lit[0, :, 0].any()
    # The light is so far that it falls straight on every pixel: 0.5 * (1 + ambient).
    assert_close(image[0][lit[0]][:, :3], np.tile([0.6, 0.7, 0.5], (lit[0].sum(), 1)), 1e-4)
    assert_close(image[1][lit[1]][:, :3], np.full((lit[1].sum(), 3), 0.5), 1e-4)
    assert not image[~lit].any()
    behind = mesh_renderer.mesh_renderer(**quad(light_positions=np.float32([[[0, 0, -9]]] * 2))).numpy()
    assert not behind[..., :3].any()


def test_shading_against_a_loop():
    """Phong's terms per pixel, cosines of the highlight divided by their norm over the image, rows flipped."""
    generator = np.random.default_rng(0)
    shape = (2, 3, 4)
    unit = generator.normal(size=(*shape, 3))
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    positions, eye = generator.normal(size=(*shape, 3)), generator.normal(size=(2, 3)) * 5
    lights, intensities = generator.normal(size=(2, 2, 3)) * 4, generator.uniform(0, 2, (2, 2, 3))
    diffuse, specular = generator.uniform(size=(2, *shape, 3))
    shininess, ambient = generator.uniform(0.5, 4, shape), generator.uniform(size=(2, 3))
    alphas = generator.integers(0, 2, shape).astype(float)
    expected = np.zeros((*shape, 4))
    for b in range(2):
        colors = ambient[b] * diffuse[b]
        for position, intensity in zip(lights[b], intensities[b], strict=True):
            cosines, facing = np.zeros(shape[1:]), np.zeros(shape[1:])
            for i in np.ndindex(*shape[1:]):
                to_light = (position - positions[b][i]) / np.linalg.norm(position - positions[b][i])
                facing[i] = max(unit[b][i] @ to_light, 0)
                mirrored = 2 * facing[i] * unit[b][i] - to_light
                to_camera = eye[b] - positions[b][i]
                cosines[i] = mirrored @ to_camera / np.linalg.norm(mirrored) / np.linalg.norm(to_camera)
            factor = np.maximum(cosines / np.linalg.norm(cosines), 0) ** shininess[b] * (facing > 0)
            colors = colors + (diffuse[b] * facing[..., None] + specular[b] * factor[..., None]) * intensity
        expected[b] = np.concatenate([colors * alphas[b][..., None], alphas[b][..., None]], axis=-1)[::-1]
    actual = mesh_renderer.phong_shader(
        unit, alphas, positions, lights, intensities, diffuse, eye, specular, shininess, ambient
    )
    assert_close(actual, expected, 1e-5)


def test_shininess_as_scalar_per_image_and_per_vertex():
    colors = np.full((2, 4, 3), 0.3, np.float32)
    images = [
        mesh_renderer.mesh_renderer(**quad(specular_colors=colors, shininess_coefficients=shininess))
        for shininess in (2.0, 2, tf.constant([2.0, 2.0]), np.full((2, 4), 2.0, np.float32))
    ]
    matt = mesh_renderer.mesh_renderer(**quad())
    assert np.abs(images[0] - matt).max() > 1e-4
    for image in images[1:]:
        assert_close(image, images[0], 1e-5)


@pytest.mark.parametrize("shininess", [0.0, 0.5, 3.0])
def test_gradients_are_finite_with_highlights_and_background(shininess):
    # One light mirrors towards the camera, the other away from it, where the clipped cosine is exactly zero.
    arguments = quad(
        camera_position=np.float32([4, 0, 1.5]),
        light_positions=np.float32([[[-9, 0, 3], [9, 0, 1]]] * 2),
        light_intensities=np.ones((2, 2, 3), np.float32),
        specular_colors=tf.ones([2, 4, 3]),
        shininess_coefficients=tf.fill([2, 4], shininess),
    )
    names = ["vertices", "normals", "diffuse_colors", "specular_colors", "shininess_coefficients", "camera_position"]
    arguments |= {name: tf.convert_to_tensor(arguments[name]) for name in names}
    with tf.GradientTape() as tape:
        tape.watch([arguments[name] for name in names])
        loss = tf.reduce_sum(mesh_renderer.mesh_renderer(**arguments) ** 2)
    for name, gradient in zip(names, tape.gradient(loss, [arguments[name] for name in names]), strict=True):
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name


def test_gradients_are_finite_where_the_mirrored_light_and_the_camera_are_at_a_right_angle():
    """There the cosine is exactly zero, inside its clip, and its power has an infinite slope."""
    normals = tf.constant([0.0, 0.0, 1.0], shape=[1, 1, 1, 3])
    ones = tf.ones([1, 1, 1, 3])
    with tf.GradientTape() as tape:
        tape.watch(normals)
        image = mesh_renderer.phong_shader(
            normals,
            tf.ones([1, 1, 1]),
            tf.zeros([1, 1, 1, 3]),
            [[[0.0, 0.0, 1.0]]],
            [[[1.0, 1.0, 1.0]]],
            ones,
            [[1.0, 0.0, 0.0]],
            ones,
            [[[0.5]]],
        )
    assert_close(image.numpy()[0, 0, 0], [1.0] * 4, 1e-5)
    assert np.isfinite(tape.gradient(image, normals)).all()


def test_graph_with_unknown_batch_size_equals_eager():
    arguments = quad()

    @tf.function(
        input_signature=[tf.TensorSpec([None, 4, 3])] * 2 + [tf.TensorSpec([None, None, 3])] * 2, autograph=False
    )
    def render(vertices, colors, light_positions, light_intensities):
        changes = {"light_positions": light_positions, "light_intensities": light_intensities}
        image = mesh_renderer.mesh_renderer(**quad(vertices=vertices, diffuse_colors=colors, **changes))
        return mesh_renderer.tone_mapper(image[..., :3], 0.7)

    expected = mesh_renderer.tone_mapper(mesh_renderer.mesh_renderer(**arguments)[..., :3], 0.7)
    inputs = ("vertices", "diffuse_colors", "light_positions", "light_intensities")
    assert_close(render(*(arguments[name] for name in inputs)), expected, 1e-5)


def test_tone_mapper_scales_each_image_by_its_own_maximum():
    image = np.zeros((3, 2, 2, 3), np.float32)
    image[0, 0, 0], image[1, 1, 1] = [1, 4, 16], [9, 0, 0.25]
    mapped = mesh_renderer.tone_mapper(image, 0.5).numpy()
    assert_close(mapped[0, 0, 0], [0.25, 0.5, 1.0], 1e-6)
    assert_close(mapped[1, 1, 1], [1, 0, 1 / 6], 1e-6)
    assert not mapped[2].any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_gradients_of_tone_mapping_end_at_unlit_pixels(gamma):
    image = np.zeros((2, 2, 2, 3), np.float32)
    image[0, 0, 0] = [1, 4, 16]
    image = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(image)
        mapped = mesh_renderer.tone_mapper(image, gamma)
        score = tf.reduce_sum(mapped[0, 0, 0, :2])
    assert_close(mapped[1], np.full((2, 2, 3), gamma == 0), 1e-6)
    gradient = tape.gradient(score, image).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()
    if gamma == 0.5:
        assert_close(gradient[0, 0, 0], [1 / 8, 1 / 16, -3 / 128], 1e-6)


FLAT = np.zeros((4, 3), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": FLAT}, r"vertices must be \[B, N, 3\], got \(4, 3\)"),
        ({"normals": FLAT}, r"normals must be \[B, N, 3\], got \(4, 3\)"),
        ({"diffuse_colors": FLAT}, r"diffuse_colors must be \[B, N, 3\], got \(4, 3\)"),
        ({"light_positions": FLAT}, r"light_positions must be \[B, L, 3\], got \(4, 3\)"),
        ({"light_intensities": FLAT}, r"light_intensities must be \[B, L, 3\], got \(4, 3\)"),
        ({"ambient_color": [0.0, 0.0, 0.0]}, r"ambient_color must be \[B, 3\], got \(3,\)"),
        ({"camera_position": FLAT}, r"camera_position must be \[3\] or \[B, 3\], got \(4, 3\)"),
        ({"camera_lookat": FLAT[0, :2]}, r"camera_lookat must be \[3\] or \[B, 3\], got \(2,\)"),
        ({"camera_up": FLAT[None]}, r"camera_up must be \[3\] or \[B, 3\], got \(1, 4, 3\)"),
        ({"fov_y": [40.0, 40.0, 40.0]}, r"fov_y must be a scalar or \[B\], got \(3,\)"),
        ({"near_clip": [[0.1]]}, r"near_clip must be a scalar or \[B\], got \(1, 1\)"),
        ({"far_clip": [1.0] * 4}, r"far_clip must be a scalar or \[B\], got \(4,\)"),
        ({"specular_colors": np.ones((2, 4, 3))}, "must be given together, got no shininess_coefficients"),
        ({"shininess_coefficients": 1.0}, "must be given together, got no specular_colors"),
        ({"specular_colors": FLAT, "shininess_coefficients": 1.0}, r"specular_colors must be \[B, N, 3\]"),
        (
            {"specular_colors": np.ones((2, 4, 3)), "shininess_coefficients": np.ones((2, 4, 1))},
            r"shininess_coefficients must be a scalar, \[B\] or \[B, N\], got \(2, 4, 1\)",
        ),
        ({"image_width": 0}, "image_width must be > 0, got 0"),
        ({"image_height": -2}, "image_height must be > 0, got -2"),
        ({"triangles": [[0, 1, 4]]}, "triangles must hold vertex indices from 0 to 3, got 0 to 4"),
    ],
)
def test_refused_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        mesh_renderer.mesh_renderer(**quad(**change))


def test_refused_arguments_of_the_parts():
    clip, one = np.zeros((1, 3, 4), np.float32), [[0, 1, 2]]
    for width, height, message in ((0, 4, "image_width"), (4, 0, "image_height")):
        with pytest.raises(ValueError, match=f"{message} must be > 0, got 0"):
            rasterize_triangles.rasterize_triangles(clip, one, width, height)
        with pytest.raises(ValueError, match=f"{message} must be > 0, got 0"):
            rasterize_triangles.rasterize_clip_space(clip, clip, one, width, height, [0.0] * 4)
    with pytest.raises(ValueError, match=r"clip_space_vertices must be \[B, N, 4\], got \(3, 4\)"):
        rasterize_triangles.rasterize_clip_space(clip[0], clip, one, 4, 4, [0.0] * 4)
    with pytest.raises(ValueError, match=r"vertices must be \[N, 4\] or \[B, N, 4\], got \(1, 1, 3, 4\)"):
        rasterize_triangles.rasterize_triangles(clip[None], one, 4, 4)
    with pytest.raises(ValueError, match=r"matrices must be \[B, 4, 4\], got \(4, 4\)"):
        camera_utils.transform_homogeneous(np.eye(4, dtype=np.float32), clip[..., :3])
    with pytest.raises(ValueError, match=r"vertices must be \[B, N, 3\], got \(3, 3\)"):
        camera_utils.transform_homogeneous(np.eye(4, dtype=np.float32)[None], clip[0, :, :3])
    with pytest.raises(ValueError, match=r"diffuse_colors must be \[B, H, W, 3\], got None"):
        mesh_renderer.phong_shader(*np.zeros((5, 1, 1, 1, 3), np.float32))
    with pytest.raises(ValueError, match="shininess_coefficients must be given with specular_colors, got None"):
        mesh_renderer.phong_shader(
            np.zeros((1, 1, 1, 3)),
            np.zeros((1, 1, 1)),
            np.zeros((1, 1, 1, 3)),
            np.zeros((1, 1, 3)),
            np.zeros((1, 1, 3)),
            np.zeros((1, 1, 1, 3)),
            np.zeros((1, 3)),
            np.zeros((1, 1, 1, 3)),
        )
