import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.images.morphology import published_erosion
from lib.mesh_renderer.fragments import gather_at_corners, interpolate, rasterize
from model.morphable_model import MorphableModel
from model.projection import (
    SampledColours,
    delit_albedo,
    depth_slack,
    facing_cosine,
    projected_albedo,
    published_projection,
    surface_view,
    zbuffer_projection,
)
from model.whole_head.scalp_mesh import widened
from tests.support.faces import built_in_face
from tests.support.helpers import assert_close, assert_gradient, golden
from tests.support.published_files.published import camera_of_fov, unit_square


def test_published_reference():
    arrays = golden("projection")
    camera = camera_of_fov(64, float(arrays["fov_y_degrees"]))
    points = camera.project(arrays["vertices"])
    assert_close(unit_square(points, 64), arrays["proj_vert"], 1e-6)
    np.testing.assert_array_equal(np.clip(np.rint(points[..., 1]), 0, 63), arrays["pixel_row"])
    np.testing.assert_array_equal(np.clip(np.rint(points[..., 0]), 0, 63), arrays["pixel_col"])

    alpha = published_erosion(arrays["image"][..., 3:])
    np.testing.assert_array_equal(alpha, arrays["eroded_alpha"])
    sampled = published_projection((arrays["image"][..., :3] + 1) / 2, alpha, points, arrays["normals"])
    assert_close(2 * sampled.colour - 1, arrays["sampled_rgba"][..., :3], 1e-6)
    np.testing.assert_array_equal(sampled.visibility, arrays["visible"])
    masked = (2 * sampled.colour - 1) * sampled.visibility
    assert_close(tf.concat([masked, sampled.visibility], -1), arrays["proj_color"], 1e-6)


def grid(size, x, y, z):
    """A square grid in the plane z: vertices [size^2, 3], triangles facing the camera."""
    column, row = np.meshgrid(np.linspace(*x, size), np.linspace(*y, size))
    vertices = np.stack([column, row, np.full_like(column, z)], -1).reshape(-1, 3)
    first = (np.arange(size - 1)[:, None] * size + np.arange(size - 1)).ravel()
    quads = np.stack([first, first + 1, first + size + 1, first + size], -1)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


CAMERA = Camera((96, 96))
BACK, BACK_TRIANGLES = grid(25, (-0.8, 0.8), (-0.8, 0.8), 0.0)
FRONT, FRONT_TRIANGLES = grid(9, (-0.25, 0.35), (-0.3, 0.3), 0.5)


def zbuffer(vertices, triangles, image=None, alpha=None, camera=CAMERA):
    vertices = tf.constant(vertices[None], tf.float32)
    triangles = triangles.astype(np.int32)
    normals = vertex_normals(vertices, triangles, incident_triangles(triangles, vertices.shape[1]))
    height, width = camera.image_size
    return zbuffer_projection(
        tf.zeros([1, height, width, 3]) if image is None else image,
        tf.ones([1, height, width, 1]) if alpha is None else alpha,
        camera,
        camera.project(vertices),
        vertices,
        normals,
        triangles,
        rasterize(camera.clip_coordinates(vertices), triangles, camera.image_size),
    )


def test_what_lies_behind_is_hidden():
    """A small square before a large one: exactly the large one's vertices in its shadow, seen from the camera, hide."""
    vertices = np.concatenate([BACK, FRONT])
    triangles = np.concatenate([BACK_TRIANGLES, FRONT_TRIANGLES + len(BACK)])
    visible = zbuffer(vertices, triangles).visibility[0, :, 0].numpy()
    scale = 10 / 9.5
    shadow = (BACK[:, 0] > -0.25 * scale) & (BACK[:, 0] < 0.35 * scale) & (np.abs(BACK[:, 1]) < 0.3 * scale)
    pixel = 10 / CAMERA.focal_length
    near_edge = np.zeros(len(BACK), bool)
    for values, edges in ((BACK[:, 0], (-0.25, 0.35)), (BACK[:, 1], (-0.3, 0.3))):
        for edge in edges:
            near_edge |= np.abs(values - edge * scale) < pixel
            # Pixels beside the edge see triangles with a corner in the shadow.
            near_edge |= shadow & (np.abs(values - edge * scale) < 1.6 / 24)
    near_edge |= (np.abs(BACK[:, :2]) > 0.8 - pixel).any(-1)  # the silhouette
    assert shadow.sum() > 50
    np.testing.assert_array_equal(visible[: len(BACK)][~near_edge], ~shadow[~near_edge])
    inner = (np.abs(FRONT[:, 0] - 0.05) < 0.28) & (np.abs(FRONT[:, 1]) < 0.28)
    assert visible[len(BACK) :][inner].all()


def test_a_hidden_corner_takes_the_colour_of_its_seen_triangles_not_of_what_hides_it():
    vertices = np.concatenate([BACK, FRONT])
    triangles = np.concatenate([BACK_TRIANGLES, FRONT_TRIANGLES + len(BACK)]).astype(np.int32)
    clip = CAMERA.clip_coordinates(tf.constant(vertices[None], tf.float32))
    fragments = rasterize(clip, triangles, CAMERA.image_size)
    before = fragments.triangle_id.numpy() >= len(BACK_TRIANGLES)
    image = np.where(before[..., None], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]).astype(np.float32)
    sampled = zbuffer(vertices, triangles, image=tf.constant(image))
    inner = 0.3 * 10 / 9.5 - 0.03  # of the square's shadow, clear of its edge
    shadow = (np.abs(BACK[:, 0] - 0.05 * 10 / 9.5) < inner) & (np.abs(BACK[:, 1]) < inner)
    seen = shadow & (sampled.visibility[0, : len(BACK), 0].numpy() > 0)
    assert 10 < seen.sum() < shadow.sum() / 2
    np.testing.assert_allclose(sampled.colour[0, : len(BACK)].numpy()[seen], [[0, 0, 1]] * seen.sum(), atol=1e-5)


def test_gathering_is_the_transpose_of_interpolating():
    generator = np.random.default_rng(0)
    fragments = rasterize(
        CAMERA.clip_coordinates(tf.constant(BACK[None], tf.float32)), BACK_TRIANGLES.astype(np.int32), CAMERA.image_size
    )
    attributes = tf.constant(generator.normal(size=(1, len(BACK), 2)), tf.float32)
    pixels = tf.constant(generator.normal(size=(1, 96, 96, 2)), tf.float32)
    triangles = BACK_TRIANGLES.astype(np.int32)
    there = tf.reduce_sum(interpolate(attributes, triangles, fragments) * pixels)
    back = tf.reduce_sum(attributes * gather_at_corners(pixels, triangles, fragments, len(BACK)))
    assert float(there) == pytest.approx(float(back), rel=1e-4)


def test_what_faces_away_is_hidden():
    assert zbuffer(BACK, BACK_TRIANGLES[:, ::-1]).visibility.numpy().max() == 0


@pytest.mark.parametrize("size", [64, 128, 224])
def test_a_sphere_shows_its_front(size):
    """No vertex of a smooth convex surface is lost to the depth comparison, up to steep views; none behind appears."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=4, radius=0.8)
    camera = Camera((size, size))
    visible = zbuffer(sphere.vertices, sphere.faces, camera=camera).visibility[0, :, 0].numpy()
    vertices = tf.constant(sphere.vertices[None], tf.float32)
    cosine = facing_cosine(vertices, vertices / 0.8, camera)[0, :, 0].numpy()
    assert visible[cosine > 0.25].all()
    assert not visible[cosine < -0.12].any()  # an edge behind the silhouette


def test_off_the_mask_and_off_the_image_is_hidden():
    alpha = np.ones((1, 96, 96, 1), np.float32)
    alpha[:, :, :48] = 0
    visible = zbuffer(BACK, BACK_TRIANGLES, alpha=tf.constant(alpha)).visibility[0, :, 0].numpy()
    inner = np.abs(BACK).max(-1) < 0.75
    assert visible[(BACK[:, 0] > 0.01) & inner].all()
    assert not visible[BACK[:, 0] < -0.01].any()
    beyond = zbuffer(BACK + [3.0, 0, 0], BACK_TRIANGLES).visibility.numpy()
    assert beyond.max() == 0


def test_what_the_image_cuts_off_is_hidden():
    """The nearest pixel of a vertex beyond the image's edge shows another part of the same surface."""
    moved = BACK + [0.9, 0, 0]
    visible = zbuffer(moved, BACK_TRIANGLES).visibility[0, :, 0].numpy()
    points = CAMERA.project(tf.constant(moved[None], tf.float32))[0].numpy()
    rim = 96 + 1.7 * (points[:, 0].max() - points[:, 0].min()) / 24  # corners of triangles that pixels see
    assert not visible[points[:, 0] > rim].any()
    assert 50 < (points[:, 0] > rim).sum() < len(BACK) - 50
    inner = (np.abs(BACK).max(-1) < 0.75) & (points[:, 0] < 95)
    assert visible[inner].all()


def test_colours_are_interpolated():
    column = np.mgrid[:96, :96][1]
    ramp = ((column + 0.5) / 96)[None, ..., None].repeat(3, -1).astype(np.float32)
    sampled = zbuffer(BACK, BACK_TRIANGLES, image=tf.constant(ramp))
    np.testing.assert_allclose(
        sampled.colour[0, :, 0] * 96, CAMERA.project(tf.constant(BACK[None], tf.float32))[0, :, 0], atol=1e-3
    )


def test_no_colour_comes_from_beyond_the_mask():
    """Skin of 0.5 inside the mask, 1 outside: every visible vertex shows skin, also in the mask's last pixel."""
    alpha = np.zeros((1, 96, 96, 1), np.float32)
    alpha[:, 20:70, 30:75] = 1
    image = np.where(alpha > 0, 0.5, 1.0).repeat(3, -1).astype(np.float32)
    sampled = zbuffer(BACK, BACK_TRIANGLES, image=tf.constant(image), alpha=tf.constant(alpha))
    visible = sampled.visibility[0, :, 0].numpy() > 0
    np.testing.assert_allclose(sampled.colour[0].numpy()[visible], 0.5, atol=1e-5)
    points = CAMERA.project(tf.constant(BACK[None], tf.float32))[0].numpy()
    inside = (points > [30, 20]).all(-1) & (points < [75, 70]).all(-1)
    border = inside & ((points < [31, 21]).any(-1) | (points > [74, 69]).any(-1))
    assert border.any()
    assert visible[border].all()


def test_corners_of_seen_triangles_just_behind_the_silhouette_are_visible():
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.8)
    vertices = tf.constant(sphere.vertices[None], tf.float32)
    cosine = facing_cosine(vertices, vertices / 0.8, CAMERA)[0, :, 0].numpy()
    visible = zbuffer(sphere.vertices, sphere.faces).visibility[0, :, 0].numpy() > 0
    fragments = rasterize(CAMERA.clip_coordinates(vertices), sphere.faces.astype(np.int32), CAMERA.image_size)
    corners = np.unique(sphere.faces[fragments.triangle_id.numpy()[fragments.mask.numpy()[..., 0] > 0]])
    behind = corners[(cosine[corners] <= 0) & (cosine[corners] > -0.1)]
    assert len(behind) >= 4
    assert visible[behind].all()


@pytest.mark.parametrize(("alpha", "visible"), [(0.05, 0), (0.2, 1)])
def test_a_mask_that_hardly_covers_a_vertex_hides_it(alpha, visible):
    """On a mesh so fine that no triangle shows a tenth of a pixel under such a mask."""
    vertices, triangles = grid(97, (-0.8, 0.8), (-0.8, 0.8), 0.0)
    mask = np.full((1, 96, 96, 1), alpha, np.float32)
    inside = np.abs(vertices[:, :2]).max(axis=1) < 0.7
    seen = zbuffer(vertices, triangles, alpha=mask).visibility.numpy()[0, inside]
    assert (seen == visible).all()


def test_the_light_is_removed_within_bounds():
    colour, shading = tf.constant([[[0.3, 0.6, 0.04]]]), tf.constant([[[0.5, 0.2, 0.04]]])
    np.testing.assert_allclose(delit_albedo(colour, shading), [[[0.6, 2.0, 0.5]]], rtol=1e-6)
    both = [tf.repeat(values, 2, axis=1) for values in (colour, shading)]
    coarse, visibility = tf.fill([1, 2, 3], 0.7), tf.constant([[[1.0], [0.0]]])
    albedo = projected_albedo(coarse, SampledColours(both[0], visibility), both[1])
    np.testing.assert_allclose(albedo, [[[0.6, 2.0, 0.5], [0.7, 0.7, 0.7]]], rtol=1e-6)


def test_slack_of_the_depth_test_grows_with_the_slant():
    """A pixel 10 dm away is 10 dm / focal length wide; a surface at a cosine of 0.6 rises by 4/3 of that."""
    cosine = tf.constant([[[1.0], [0.6], [0.1], [0.01]]])
    found = depth_slack(tf.fill([1, 4, 1], 10.0), cosine, CAMERA)
    rises = np.array([0, 4 / 3, np.sqrt(99), np.sqrt(99)])  # no steeper than a cosine of 0.1
    np.testing.assert_allclose(found[0, :, 0], 0.02 + rises * 10 / (4.53125 * 96), rtol=1e-5)


def test_gradients_of_sampled_colours_are_those_of_finite_differences():
    """With respect to image and points; what is visible is decided, not differentiated."""
    generator = np.random.default_rng(6)
    camera = Camera((8, 8))
    back, back_triangles = grid(4, (-0.8, 0.8), (-0.8, 0.8), 0.0)
    front, front_triangles = grid(2, (-0.25, 0.35), (-0.3, 0.3), 0.5)
    vertices = tf.constant(np.concatenate([back, front])[None])
    triangles = np.concatenate([back_triangles, front_triangles + len(back)]).astype(np.int32)
    normals = vertex_normals(vertices, triangles, incident_triangles(triangles, vertices.shape[1]))
    fragments = rasterize(camera.clip_coordinates(vertices), triangles, camera.image_size)
    image, alpha = generator.uniform(size=(1, 8, 8, 3)), generator.uniform(0.3, 1, (1, 8, 8, 1))
    alpha[:, :, :3] = 0  # hides some
    points = camera.project(vertices)
    weights = generator.normal(size=(1, vertices.shape[1], 3))
    sampled = zbuffer_projection(tf.constant(image), alpha, camera, points, vertices, normals, triangles, fragments)
    assert 0 < sampled.visibility.numpy().mean() < 1

    def zbuffered(image, points):
        colours = zbuffer_projection(image, alpha, camera, points, vertices, normals, triangles, fragments).colour
        return tf.reduce_sum(colours * weights)

    assert_gradient(zbuffered, image, points)

    def published(image):
        return tf.reduce_sum(published_projection(image, alpha, points, normals).colour * weights)

    assert_gradient(published, image)
    values = generator.normal(size=(1, 8, 8, 2))

    def gathered(values, barycentrics):
        seen = dataclasses.replace(fragments, barycentrics=barycentrics)
        return gather_at_corners(values, triangles, seen, len(weights[0]))

    shown = fragments.triangle_id.numpy()[..., None] >= 0  # the background's weights do not count
    assert_gradient(lambda values, weights: gathered(values, weights * shown), values, fragments.barycentrics)


def test_gradients_of_albedo_and_angles_are_those_of_finite_differences():
    generator = np.random.default_rng(7)
    colour, shading = generator.uniform(size=(2, 5, 3)), generator.uniform(0.1, 1.5, (2, 5, 3))
    shading[0, 0] = 0.02  # below the darkest that divides
    colour[0, 1], shading[0, 1] = 0.9, 0.2  # beyond the brightest albedo
    coarse, visibility = generator.uniform(size=(2, 5, 3)), tf.constant(generator.uniform(size=(2, 5, 1)))
    assert_gradient(delit_albedo, colour, shading)
    assert_gradient(
        lambda coarse, colour, shading: projected_albedo(coarse, SampledColours(colour, visibility), shading),
        coarse, colour, shading,
    )  # fmt: skip
    assert_gradient(
        lambda vertices, normals: facing_cosine(vertices, normals, CAMERA),
        generator.normal(size=(1, 5, 3)), generator.normal(size=(1, 5, 3)),
    )  # fmt: skip
    cosine = np.array([0.05, 0.3, 0.7, 0.95, -0.4])[None, :, None]  # steepest views have a slack of their own
    assert_gradient(lambda *both: depth_slack(*both, CAMERA), generator.uniform(9, 11, (1, 5, 1)), cosine)


@pytest.mark.parametrize(("side", "pixels"), [(32, 896), (224, 896), (1024, 1024)])
def test_the_z_buffer_resolves_the_same_length_whatever_the_size_of_the_crops(side, pixels):
    """Half a millimetre at 32 px; no gigabyte at 1,024 px."""
    morphable, camera = MorphableModel(built_in_face(2000)), Camera((side, side))
    face = morphable.posed(tf.zeros([1, morphable.layout.size]), camera)
    view = surface_view(morphable, camera, face, np.ones((side, side)), side)
    assert view.zbuffer.shape == (pixels, pixels)
    assert view.reference_pixel == pixels / 224
    wide = widened(camera)
    wider = surface_view(morphable, wide, face, np.ones(wide.image_size), side)
    assert len(wider.zbuffer) == wide.image_size[0] * pixels // side
    np.testing.assert_allclose(np.ptp(wider.points, axis=0), np.ptp(view.points, axis=0), rtol=1e-4)
