"""The small interface: visibility, barycentrics, interpolation, gradients."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.mesh_renderer import kernels
from lib.mesh_renderer.fragments import interpolate, rasterize, triangle_ids, triangle_ids_and_depth
from tests.support.helpers import assert_close, golden
from tests.support.meshes import sheet

SCENES = ("tri2", "cube", "sphere")
SIZE = (14, 18)


def random_mesh(seed, triangle_count=25):
    """Triangles of their own corners, some reaching behind the camera: clip vertices [1, N, 4] and triangles."""
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-2.5, 2.5, (1, 3 * triangle_count, 3)) + [0, 0, 6.5]
    vertices = tf.constant(vertices, tf.float32)
    camera = Camera(SIZE, focal_ratio=1.2, distance=8.0, near=0.5, far=30.0)
    return camera.clip_coordinates(vertices), np.arange(3 * triangle_count, dtype=np.int32).reshape(-1, 3)


def pixel_centres(image_size):
    """Normalised coordinates (x right, y up) of every pixel centre, [H, W, 2]."""
    height, width = image_size
    x, y = np.meshgrid((np.arange(width) + 0.5) * 2 / width - 1, 1 - (np.arange(height) + 0.5) * 2 / height)
    return np.stack([x, y], axis=-1)


def naive(clip, triangles, image_size):
    """Ids, barycentrics, depth of one image by solving corners @ weights = (x, y, 1) for every pixel and triangle.

    Also `doubtful` [H, W]: pixels near an edge, a clipping plane or a tie in depth, where rounding decides.
    """
    clip, centres = np.asarray(clip, np.float64), pixel_centres(image_size)
    ids, depth = np.full(image_size, -1), np.ones(image_size)
    weights, doubtful = np.zeros((*image_size, 3)), np.zeros(image_size, bool)
    for f, corners in enumerate(triangles):
        inverse = np.linalg.inv(clip[corners][:, [0, 1, 3]].T)
        for iy in range(image_size[0]):
            for ix in range(image_size[1]):
                solution = inverse @ [*centres[iy, ix], 1.0]
                barycentrics = solution / solution.sum()
                z, w = barycentrics @ clip[corners, 2], barycentrics @ clip[corners, 3]
                margin = min(barycentrics.min(), (1 + z / w), (1 - z / w))
                if abs(margin) < 1e-4 and w > 0:
                    doubtful[iy, ix] = True
                if margin < 0 or w <= 0:
                    continue
                doubtful[iy, ix] |= abs(z / w - depth[iy, ix]) < 1e-4
                if z / w <= depth[iy, ix]:
                    ids[iy, ix], depth[iy, ix], weights[iy, ix] = f, z / w, barycentrics
    return ids, weights, depth, doubtful


def clipped_polygon(corners):
    """The part of a triangle [3, 4] beyond the near plane, projected: corners [P, 2] in normalised coordinates."""
    points = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside_a, inside_b = a[2] + a[3], b[2] + b[3]
        if inside_a >= 0:
            points.append(a)
        if (inside_a >= 0) != (inside_b >= 0):
            points.append(a + (b - a) * inside_a / (inside_a - inside_b))
    return np.array([point[:2] / point[3] for point in points])


def signed_distances(polygon, points):
    """Smallest signed distance of points [..., 2] to the edge lines of a convex polygon; positive inside."""
    following = np.roll(polygon, -1, axis=0)
    area = np.sum(polygon[:, 0] * following[:, 1] - polygon[:, 1] * following[:, 0])
    distances = []
    for a, b in zip(polygon, following, strict=True):
        edge = (b - a) * np.sign(area)
        offset = points - a
        distances.append((edge[0] * offset[..., 1] - edge[1] * offset[..., 0]) / np.linalg.norm(edge))
    return np.min(distances, axis=0)


@pytest.mark.parametrize("scene", SCENES)
def test_reference_scenes(scene):
    arrays = {name.split("/")[1]: value for name, value in golden("renderer").items() if name.startswith(scene)}
    clip, attributes = tf.constant(arrays["clip_vertices"][None]), tf.constant(arrays["attributes"][None])
    with tf.GradientTape() as tape:
        tape.watch([clip, attributes])
        fragments = rasterize(clip, arrays["triangles"], (64, 64))
        # The reference is y-up and has -1 in the background.
        image = (interpolate(attributes, arrays["triangles"], fragments) + fragments.mask - 1)[0, ::-1]
        loss = tf.reduce_sum(arrays["w"] * image)
    clip_gradient, attribute_gradient, weight_gradient = tape.gradient(loss, [clip, attributes, fragments.barycentrics])
    stable = arrays["stable_mask"] == 1
    ids = fragments.triangle_id.numpy()[0, ::-1]
    assert np.array_equal(np.maximum(ids, 0)[stable], arrays["triangle_ids"][stable])
    assert np.array_equal((ids >= 0)[stable], arrays["alpha"][stable] == 1)
    assert np.array_equal(fragments.mask.numpy()[0, ::-1, :, 0], ids >= 0)
    assert_close(image.numpy()[stable], arrays["attr_image"][stable])
    assert_close(fragments.barycentrics.numpy()[0, ::-1][stable], arrays["barycentrics"][stable])
    _, depth = triangle_ids_and_depth(clip, arrays["triangles"], (64, 64))
    assert_close(depth.numpy()[0, ::-1][stable], arrays["z_buffer"][stable], 1e-6)
    assert_close(loss, arrays["loss"])
    assert_close(clip_gradient[0], arrays["grad_clip_vertices"], 1e-3)
    assert_close(clip_gradient.numpy()[0][:, [0, 1, 3]], arrays["grad_clip_vertices_f64"], 1e-3)
    assert_close(attribute_gradient[0], arrays["grad_attributes"], 1e-3)
    # In the background the reference looks up triangle 0; here such gradients exist too but reach nothing.
    assert_close(weight_gradient.numpy()[0, ::-1][ids >= 0], arrays["grad_barycentrics"][ids >= 0])


@pytest.mark.parametrize("seed", range(3))
def test_random_triangles_against_a_loop(seed):
    clip, triangles = random_mesh(seed)
    assert (clip.numpy()[..., 3] < 0).any()  # some corners lie behind the camera
    fragments = rasterize(clip, triangles, SIZE)
    _, depth = triangle_ids_and_depth(clip, triangles, SIZE)
    ids, barycentrics, expected_depth, doubtful = naive(clip[0], triangles, SIZE)
    sure = ~doubtful
    assert sure.mean() > 0.95
    assert (ids[sure] >= 0).mean() > 0.3
    assert np.array_equal(fragments.triangle_id.numpy()[0][sure], ids[sure])
    assert_close(fragments.barycentrics.numpy()[0][sure], barycentrics[sure])
    assert_close(depth.numpy()[0][sure], expected_depth[sure])


@pytest.mark.parametrize("seed", range(20))
def test_triangles_across_the_near_plane_cover_what_the_clipped_polygon_covers(seed):
    generator = np.random.default_rng(seed)
    size, near = (40, 50), 0.4
    camera = Camera(size, focal_ratio=1.0, distance=2.0, near=near, far=1e4)
    corners = generator.uniform(-1.5, 1.5, (3, 3))
    corners[:, 2] = camera.distance - generator.permutation([-2.0, 0.2, 3.0])  # behind, too near, in front
    clip = camera.clip_coordinates(tf.constant(corners[None], tf.float32))
    mask = rasterize(clip, np.array([[0, 1, 2]]), size).mask.numpy()[0, ..., 0]
    distance = signed_distances(clipped_polygon(clip.numpy()[0].astype(np.float64)), pixel_centres(size))
    sure = np.abs(distance) > 1e-3
    assert np.array_equal(mask[sure] == 1, distance[sure] > 0)


def test_nothing_is_drawn_of_a_mesh_behind_the_camera_or_outside_the_frustum():
    camera = Camera(SIZE, distance=10.0, near=0.1, far=20.0)
    triangle = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    for offset in ([0, 0, 25], [0, 0, 9.95], [0, 0, -15], [5, 0, 0], [-5, 0, 0], [0, 5, 0], [0, -5, 0]):
        clip = camera.clip_coordinates(tf.constant(triangle[None] + np.float32(offset)))
        assert (triangle_ids(clip, np.array([[0, 1, 2]]), SIZE).numpy() == -1).all(), offset


def test_row_0_is_the_top_and_column_0_the_left():
    clip = np.array([[[-1, 1, 0, 1], [0, 1, 0, 1], [-1, 0, 0, 1]]], np.float32)
    ids = triangle_ids(clip, np.array([[0, 1, 2]]), (4, 4)).numpy()[0]
    assert ids.tolist() == [[0, 0, -1, -1], [0, -1, -1, -1], [-1] * 4, [-1] * 4]


def test_both_windings_and_later_triangle_at_equal_depth():
    clip, _ = random_mesh(5, triangle_count=1)
    clip = clip + [0.0, 0.0, 3.0, 4.0]  # wholly in front of the camera
    for order in ([0, 1, 2], [1, 2, 0], [2, 1, 0], [0, 2, 1]):
        ids = triangle_ids(clip, np.array([[0, 1, 2], order]), SIZE).numpy()
        assert set(np.unique(ids)) == {-1, 1}
        assert np.array_equal(ids >= 0, triangle_ids(clip, np.array([order]), SIZE).numpy() >= 0)


@pytest.mark.parametrize("aligned", [False, True])
def test_no_cracks_between_neighbours(aligned):
    """Also where every vertex and edge passes exactly through pixel centres."""
    size = (16, 16)
    clip, triangles = sheet(17, 17, overhang=1 + 1 / 16 if aligned else 1.1)
    if aligned:
        clip[..., :2] /= clip[..., 3:]
        clip[..., 3] = 1
        clip[..., 2] = 0
    assert (triangle_ids(clip.astype(np.float32), triangles, size).numpy() >= 0).all()


def test_barycentrics_sum_to_one_and_reproduce_linear_fields():
    """Clip x, y, w are linear on a triangle, and at a pixel x / w and y / w are the pixel's own coordinates."""
    clip, triangles = sheet()
    clip = clip.astype(np.float32)
    fragments = rasterize(clip, triangles, SIZE)
    assert (fragments.mask.numpy() == 1).all()
    assert_close(tf.reduce_sum(fragments.barycentrics, axis=-1), np.ones((1, *SIZE)), 1e-6)
    point = interpolate(clip, triangles, fragments).numpy()[0]
    assert_close(point[..., :2] / point[..., 3:], pixel_centres(SIZE), 1e-6)


def test_a_batch_of_two_equals_two_batches_of_one():
    clips = tf.concat([random_mesh(0)[0], random_mesh(1)[0]], axis=0)
    triangles = random_mesh(0)[1]
    attributes = tf.random.stateless_normal([2, clips.shape[1], 5], [1, 2])
    together = rasterize(clips, triangles, SIZE)
    image = interpolate(attributes, triangles, together)
    for b in range(2):
        alone = rasterize(clips[b : b + 1], triangles, SIZE)
        assert np.array_equal(together.triangle_id[b], alone.triangle_id[0])
        assert np.array_equal(together.barycentrics[b], alone.barycentrics[0])
        assert np.array_equal(image[b], interpolate(attributes[b : b + 1], triangles, alone)[0])


def test_eager_equals_a_graph_with_unknown_batch_size():
    clip, triangles = random_mesh(2)
    attributes = tf.random.stateless_normal([1, clip.shape[1], 3], [3, 4])

    def render(clip, attributes):
        with tf.GradientTape() as tape:
            tape.watch(clip)
            fragments = rasterize(clip, triangles, SIZE)
            image = interpolate(attributes, triangles, fragments)
            loss = tf.reduce_sum(image**2)
        return fragments, image, tape.gradient(loss, clip)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4]), tf.TensorSpec([None, None, 3])], autograph=False)
    def graph(clip, attributes):
        fragments, image, gradient = render(clip, attributes)
        assert fragments.triangle_id.shape[1:] == SIZE
        assert image.shape[1:] == (*SIZE, 3)
        return fragments, image, gradient

    eager = render(clip, attributes)
    for expected, actual in zip(tf.nest.flatten(eager), tf.nest.flatten(graph(clip, attributes)), strict=True):
        assert_close(actual, expected, 1e-5)
    twice = graph(tf.repeat(clip, 2, axis=0), tf.repeat(attributes, 2, axis=0))
    assert_close(twice[1][1], eager[1][0], 1e-5)


@pytest.mark.parametrize("crossing", [False, True])
def test_gradients_against_differences(crossing):
    """Every pixel is covered and no silhouette or edge moves across a pixel centre, in double precision."""
    size = (5, 6)
    if crossing:  # a corner behind the camera
        clip = np.array([[[0.1, -8, -2, -1], [-18, 9, 2, 3], [18, 9, 2, 3]]], np.float64)
        triangles = np.array([[0, 1, 2]])
    else:
        clip, triangles = sheet(3, 3)
        clip[..., :2] += [0.06, 0.04] * clip[..., 3:]
    attributes = np.random.default_rng(1).normal(size=(1, clip.shape[1], 2))
    weights = np.random.default_rng(2).normal(size=(1, *size, 2))
    ids = triangle_ids(clip, triangles, size).numpy()
    assert (ids >= 0).all()

    def loss(clip, attributes):
        fragments = rasterize(clip, triangles, size)
        assert np.array_equal(fragments.triangle_id.numpy(), ids)
        return tf.reduce_sum(weights * interpolate(attributes, triangles, fragments))

    analytic, numeric = tf.test.compute_gradient(loss, [tf.constant(clip), tf.constant(attributes)], delta=1e-6)
    for exact, difference in zip(analytic, numeric, strict=True):
        assert_close(exact, difference, 1e-6)
    assert (analytic[0].reshape(-1, 4)[:, 2] == 0).all()  # nothing flows to clip z
    assert np.abs(analytic[0]).max() > 0.01


def gradients(clip, triangles, size=SIZE):
    attributes = tf.ones([clip.shape[0], clip.shape[1], 3])
    with tf.GradientTape() as tape:
        tape.watch([clip, attributes])
        fragments = rasterize(clip, triangles, size)
        loss = tf.reduce_sum(interpolate(attributes, triangles, fragments) ** 2) + tf.reduce_sum(
            fragments.barycentrics[..., 0]
        )
    return fragments, tape.gradient(loss, [clip, attributes])


def test_an_empty_image_passes_zero_gradients():
    clip, triangles = random_mesh(0)
    fragments, (clip_gradient, attribute_gradient) = gradients(clip * tf.constant([1.0, 1, 1, -1]), triangles)
    assert (fragments.triangle_id.numpy() == -1).all()
    assert not fragments.mask.numpy().any()
    assert not fragments.barycentrics.numpy().any()
    assert np.array_equal(clip_gradient, np.zeros_like(clip))
    assert not attribute_gradient.numpy().any()


def test_background_pixels_in_line_with_the_first_triangle_keep_gradients_finite():
    """Background pixels look up triangle 0; here its edge functions are all zero at their centres."""
    clip = np.array([[[-1, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 1], [-1, -1, 0, 1], [1, -1, 0, 1]]], np.float32)
    _, found = gradients(tf.constant(clip), np.array([[0, 1, 2], [3, 4, 1]]), (5, 5))
    assert all(np.isfinite(gradient).all() for gradient in found)


def test_degenerate_triangles_draw_nothing_wrong():
    """Repeated corners, a line, a point, corners in the camera itself, a sliver thinner than float32 can tell."""
    clip = np.zeros((1, 9, 4), np.float32)
    clip[0, :, :] = [
        [-1, -1, 0, 1],
        [1, 1, 0, 1],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0.5, 0, 0, 0],
        [0, 0.5, 0, 1e-30],
        [-0.9, 0.11, 0, 1],
        [0.9, 0.11, 0, 1],
        [0, np.nextafter(np.float32(0.11), np.float32(1)), 0, 1],
    ]
    degenerate = np.array([[0, 0, 1], [0, 1, 2], [2, 2, 2], [3, 3, 3], [3, 4, 5], [0, 1, 3]])
    for size in ((1, 1), (8, 8), (9, 9)):
        assert (triangle_ids(clip, degenerate[:4], size).numpy() == -1).all()
    _, found = gradients(tf.constant(clip), degenerate, (9, 9))
    assert all(np.isfinite(gradient).all() for gradient in found)
    # A row of pixel centres exactly at the sliver's height.
    fragments, found = gradients(tf.constant(clip), np.array([[6, 7, 8]]), (100, 100))
    assert fragments.mask.numpy().any()
    assert all(np.isfinite(gradient).all() for gradient in found)
    drawn = fragments.mask.numpy() > 0
    assert_close(tf.reduce_sum(fragments.barycentrics, axis=-1).numpy()[drawn[..., 0]], np.ones(drawn.sum()), 1e-5)


def test_interpolation_in_other_precisions_and_integer_types():
    clip, triangles = sheet()
    fragments = rasterize(clip, triangles.astype(np.int64), SIZE)
    single = rasterize(clip.astype(np.float32), triangles, SIZE)
    assert fragments.barycentrics.dtype == tf.float64
    assert_close(single.barycentrics, fragments.barycentrics, 1e-5)
    attributes = np.ones((1, clip.shape[1], 1), np.float32)
    assert interpolate(attributes, triangles, fragments).dtype == tf.float32


@pytest.mark.parametrize("threads", [1, 2])
def test_images_of_a_batch_do_not_depend_on_each_other(monkeypatch, threads):
    meshes = [random_mesh(seed) for seed in range(3)]
    triangles = meshes[0][1]
    alone = [triangle_ids_and_depth(clip, triangles, SIZE) for clip, _ in meshes]
    monkeypatch.setattr(kernels, "kernel_threads", lambda: threads)
    ids, depth = triangle_ids_and_depth(tf.concat([clip for clip, _ in meshes], axis=0), triangles, SIZE)
    np.testing.assert_array_equal(ids, np.concatenate([ids for ids, _ in alone]))
    np.testing.assert_array_equal(depth, np.concatenate([depth for _, depth in alone]))
    assert len(np.unique(ids)) > 10
