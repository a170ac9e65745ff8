import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.normals import corner_indices, incident_corners, incident_triangles, vertex_normals, without_crowded
from lib.geometry.rotation import rotation_matrix
from tests.support.golden_face import golden_face_model, reference_face_model
from tests.support.helpers import assert_close, golden
from tests.support.published_files.published import camera_of_fov, unit_square, y_up

GENERATOR = np.random.default_rng(7)


def random_angles(count):
    return GENERATOR.uniform(-1.5, 1.5, size=(count, 3)).astype(np.float32)


def test_rotation_reference():
    arrays = golden("rotation")
    rotation = rotation_matrix(arrays["angles"])
    assert_close(rotation, arrays["rotation"])
    assert_close(rotation, arrays["rotation_deep3d"])
    assert_close(arrays["v"] @ rotation.numpy(), arrays["v_rotated"])


def test_rotation_of_the_reference_faces():
    arrays = golden("face_decoder")
    assert_close(rotation_matrix(arrays["coeff"][:, 224:227]), arrays["rotation"])


def test_rotations_are_proper_and_keep_their_gradient_at_zero():
    rotation = rotation_matrix(random_angles(20)).numpy()
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (20, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)
    analytic, numeric = tf.test.compute_gradient(rotation_matrix, [tf.zeros([1, 3], tf.float64)], delta=1e-6)
    np.testing.assert_allclose(analytic[0], numeric[0], atol=1e-8)
    assert np.abs(analytic[0]).max() == 1


def test_positive_yaw_turns_the_nose_to_the_right_of_the_image():
    nose = np.array([[[0, 0, 1.0]]], np.float32) @ rotation_matrix(np.array([[0, 0.3, 0]], np.float32)).numpy()
    assert nose[0, 0, 0] > 0


def test_rotation_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"angles must be \[B, 3\], got \[3\]"):
        rotation_matrix(np.zeros(3, np.float32))


def test_incident_triangles_against_a_loop():
    triangles, count = golden_face_model().triangles, golden_face_model().vertex_count
    table = incident_triangles(triangles, count)
    for vertex in range(count):
        around = [index for index, corners in enumerate(triangles) if vertex in corners]
        assert table[vertex].tolist() == around + [len(triangles)] * (table.shape[1] - len(around))


def test_incidence_of_the_published_table():
    published = golden("face_decoder")["model/point_buf_1based"] - 1
    model = golden_face_model()
    table = incident_triangles(model.triangles, model.vertex_count)
    padding = len(model.triangles)
    for ours, theirs in zip(table, published, strict=True):
        assert sorted(set(ours)) == sorted(set(theirs) - {padding} | ({padding} & set(ours)))
    fan = np.array([[0, i, i + 1] for i in range(1, 11)])
    assert incident_triangles(fan, 12).shape == (12, 10)


def test_incidence_of_isolated_vertices_and_bad_indices():
    assert (incident_triangles(np.array([[0, 1, 2]]), 5)[3:] == 1).all()
    with pytest.raises(ValueError, match=r"triangles must index 0..1, got 0..2"):
        incident_triangles(np.array([[0, 1, 2]]), 2)


@pytest.mark.parametrize(("weighting", "variant"), [("area", "paper"), ("uniform", "deep3d")])
@pytest.mark.parametrize("table", ["published", "own"])
def test_normals_reference(weighting, variant, table):
    arrays = golden("face_decoder")
    triangles, count = golden_face_model().triangles, golden_face_model().vertex_count
    incidence = arrays["model/point_buf_1based"] - 1 if table == "published" else incident_triangles(triangles, count)
    normals = vertex_normals(arrays["face_shape"], triangles, incidence, weighting)
    assert_close(normals, arrays[f"normal_{variant}"])
    assert_close(normals @ arrays["rotation"], arrays[f"normal_rot_{variant}"])


@pytest.mark.parametrize("weighting", ["area", "uniform"])
def test_rotating_a_mesh_rotates_its_normals(weighting):
    model = golden_face_model()
    incidence = incident_triangles(model.triangles, model.vertex_count)
    rotation = rotation_matrix(random_angles(3))
    shape = tf.tile(model.mean_shape[None], [3, 1, 1])
    of_rotated = vertex_normals(shape @ rotation, model.triangles, incidence, weighting)
    rotated = vertex_normals(shape, model.triangles, incidence, weighting) @ rotation
    np.testing.assert_allclose(of_rotated, rotated, atol=1e-5)


@pytest.mark.parametrize("weighting", ["area", "uniform"])
def test_normals_of_crowded_vertices_are_the_same(weighting):
    """A fan of 40 triangles on a strip of 300: one vertex in a hundred has many.

    Some triangles name a vertex twice, as in scans whose vertices were merged.
    """
    fan = [[0, i, i + 1] for i in range(1, 41)]
    strip = [[i, i + 1, i + 2] if i % 2 else [i + 1, i, i + 2] for i in range(42, 342)]
    collapsed = [[5, 5, 6], [7, 8, 7], [100, 101, 101]]
    triangles = np.array(fan + strip + collapsed, np.int32)
    count = triangles.max() + 1
    table = incident_triangles(triangles, count)
    of_corners, crowded, crowded_corners = without_crowded(incident_corners(triangles, count), triangles.size)
    narrow, theirs = of_corners // 3, crowded_corners // 3
    assert (table.shape[1], narrow.shape[1], crowded.tolist()) == (40, 4, [0, 101])
    vertices = tf.constant(np.random.default_rng(0).normal(size=(2, count, 3)), tf.float32)
    results = []
    corners = tuple(corner_indices(rows, len(triangles)) for rows in (of_corners, crowded_corners))
    ways = (
        (table, weighting),
        (narrow, weighting, (crowded, theirs)),
        (narrow, weighting, (crowded, theirs), corners),
    )
    for arguments in ways:
        with tf.GradientTape() as tape:
            tape.watch(vertices)
            normals = vertex_normals(vertices, triangles, *arguments)
            score = tf.reduce_sum(normals * tf.cos(vertices))
        results.append((normals.numpy(), tape.gradient(score, vertices).numpy()))
    for normals, gradient in results[1:]:
        np.testing.assert_allclose(results[0][0], normals, atol=1e-6)
        np.testing.assert_allclose(results[0][1], gradient, rtol=1e-4, atol=1e-5)


def test_normals_point_outwards_and_stay_finite():
    """A counter-clockwise triangle faces the camera; an isolated vertex and a collapsed triangle have no direction."""
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    vertices = tf.constant([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [5, 5, 5], [5, 5, 5], [9, 9, 9]]], tf.float32)
    incidence = incident_triangles(triangles, 7)
    for weighting in ("area", "uniform"):
        with tf.GradientTape() as tape:
            tape.watch(vertices)
            normals = vertex_normals(vertices, triangles, incidence, weighting)
        np.testing.assert_allclose(normals[0, :3], [[0, 0, 1]] * 3)
        np.testing.assert_array_equal(normals[0, 3:], np.zeros((4, 3)))
        assert np.isfinite(tape.gradient(normals, vertices)).all()
    with pytest.raises(ValueError, match="weighting must be 'area' or 'uniform', got 'angle'"):
        vertex_normals(vertices, triangles, incidence, "angle")


def test_projection_reference():
    arrays = golden("face_decoder")
    points = Camera().project(arrays["face_shape_t"])
    assert_close(y_up(points, 224), arrays["proj_all_px_yup"])
    landmarks = tf.gather(points, reference_face_model().landmarks, axis=1)
    assert_close(y_up(landmarks, 224), arrays["landmark68_px_yup"])
    for size in (64, 224):
        camera = camera_of_fov(size)
        unit = unit_square(camera.project(arrays["face_shape_t"]), size)
        assert_close(unit, arrays["proj_vert_paper"], 1e-6)
        assert_close(tf.gather(unit, reference_face_model().landmarks[17:], axis=1), arrays["landmark51_paper"], 1e-6)


def test_field_of_view_and_scale():
    assert Camera().focal_ratio == pytest.approx(camera_of_fov(224).focal_ratio, rel=1e-5), "typed as 12.5936 degrees"
    assert Camera((448, 448)).focal_length == pytest.approx(2030)
    small, large = Camera((112, 150)), Camera((224, 300))
    vertices = GENERATOR.normal(size=(2, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(2 * small.project(vertices), large.project(vertices), rtol=1e-5)
    np.testing.assert_allclose(small.project(np.zeros((1, 1, 3), np.float32)), [[[75, 56]]])


def test_clip_coordinates_land_on_the_projected_pixels():
    camera = Camera((48, 80), focal_ratio=2.0, near=0.5, far=40.0)
    vertices = GENERATOR.normal(size=(2, 9, 3)).astype(np.float32)
    clip = camera.clip_coordinates(vertices).numpy()
    normalised = clip[..., :3] / clip[..., 3:]
    pixels = np.stack([(normalised[..., 0] + 1) * 40, (1 - normalised[..., 1]) * 24], -1)
    np.testing.assert_allclose(pixels, camera.project(vertices), rtol=1e-5)
    planes = camera.clip_coordinates(np.array([[[0, 0, 9.5], [0, 0, -30]]], np.float32)).numpy()[0]
    np.testing.assert_allclose(planes[:, 2] / planes[:, 3], [-1, 1], atol=1e-6)
    z = clip[..., 2] / clip[..., 3]
    np.testing.assert_allclose(camera.depth_of_clip(z), camera.depth(vertices), rtol=1e-3)


def test_points_behind_the_camera_stay_finite():
    vertices = tf.constant([[[0.1, 0.1, 10.0], [0.1, 0.1, 20.0]]])
    with tf.GradientTape() as tape:
        tape.watch(vertices)
        points = Camera().project(vertices)
    assert np.isfinite(points).all()
    assert np.isfinite(tape.gradient(points, vertices)).all()


def test_camera_refuses_nonsense():
    with pytest.raises(ValueError, match=r"image_size must be \(height, width\) in pixels, got \(0, 3\)"):
        Camera((0, 3))
    with pytest.raises(ValueError, match="focal_ratio must be positive, got 0"):
        Camera(focal_ratio=0)
    with pytest.raises(ValueError, match="0 < near < far, got near 2, far 1"):
        Camera(near=2, far=1)
