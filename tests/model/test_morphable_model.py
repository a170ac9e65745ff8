import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shade
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.morphable_model import MorphableModel, symmetric_pairs
from tests.support.golden_face import golden_face_model, reference_face_model, small_face_model
from tests.support.helpers import assert_close, golden
from tests.support.published_files.published import y_up


@pytest.mark.parametrize(("weighting", "variant"), [("area", "paper"), ("uniform", "deep3d")])
def test_reference(weighting, variant):
    arrays = golden("face_decoder")
    camera = Camera()
    face = MorphableModel(reference_face_model(), weighting).posed(arrays["coeff"], camera)
    assert_close(face.shape, arrays["face_shape"])
    assert_close(face.vertices, arrays["face_shape_t"])
    assert_close(face.normals, arrays[f"normal_rot_{variant}"])
    assert_close(255 * face.albedo, arrays["face_texture_255"])
    assert_close(y_up(face.landmarks, 224), arrays["landmark68_px_yup"])
    if variant == "deep3d":
        assert_close(255 * shade(face.albedo, face.shading), arrays["face_color_deep3d_255"])
    else:
        albedo = tf.clip_by_value(face.albedo, 0, 1)
        assert_close(2 * albedo - 1, arrays["pca_texture_paper"])
        assert_close(2 * shade(albedo, face.shading, clip=True) - 1, arrays["pca_color_paper"])


def test_any_sizes_in_a_graph_with_open_batch():
    morphable = MorphableModel(small_face_model())
    camera = Camera((32, 40))
    layout = morphable.layout
    graph = tf.function(
        lambda c: morphable.posed(c, camera), input_signature=[tf.TensorSpec([None, layout.size])], autograph=False
    )
    coefficients = np.random.default_rng(0).normal(size=(3, layout.size)).astype(np.float32)
    batch = graph(coefficients)
    assert batch.vertices.shape == (3, 5, 3)
    assert batch.landmarks.shape == (3, 68, 2)
    single = morphable.posed(coefficients[1:2], camera)
    np.testing.assert_allclose(batch.vertices[1:2], single.vertices, atol=1e-5)
    np.testing.assert_allclose(batch.coefficients.light[1:2], single.coefficients.light)


def test_zero_coefficients_give_the_mean():
    model = small_face_model()
    face = MorphableModel(model).posed(tf.zeros([1, model.layout.size]), Camera())
    np.testing.assert_allclose(face.vertices[0], model.mean_shape, atol=1e-6)
    np.testing.assert_allclose(face.albedo[0], model.mean_albedo, atol=1e-6)


def test_gradient_reaches_every_coefficient():
    morphable = MorphableModel(small_face_model())
    coefficients = tf.constant(np.random.default_rng(1).normal(size=(1, morphable.layout.size)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(coefficients)
        face = morphable.posed(coefficients, Camera((32, 32)))
        value = tf.reduce_sum(face.landmarks**2) + tf.reduce_sum(tf.sin(face.albedo * face.shading))
    gradient = tape.gradient(value, coefficients)
    assert np.isfinite(gradient).all()
    assert (gradient.numpy() != 0).all()


def test_pairs_of_a_mirror_map():
    np.testing.assert_array_equal(symmetric_pairs(np.array([1, 0, 3, 2, 4])), [[0, 1], [2, 3]])
    assert symmetric_pairs(np.arange(4)).shape == (0, 2)


def test_another_models_coefficients_are_refused():
    with pytest.raises(ValueError, match=r"must be \[..., 38\].*got \[1, 257\] \(were they made with another"):
        MorphableModel(small_face_model()).posed(tf.zeros([1, 257]), Camera())


def front_triangles(model):
    """Those with all corners in the front region: what they cover is Deep3D's photometric mask."""
    return model.triangles[model.front_mask[model.triangles].all(axis=-1)]


def test_reference_rendering():
    """Deep3D's picture: unclipped colours, averaged over 4 x 4 pixels, and how many pixels face and front cover."""
    arrays = golden("face_decoder")
    camera = Camera(near=0.01, far=50.0)
    morphable = MorphableModel(golden_face_model(), "uniform")
    face = morphable.posed(arrays["coeff"], camera)
    clip = camera.clip_coordinates(face.vertices)
    fragments = rasterize(clip, morphable.triangles, camera.image_size)
    rendering = interpolate(255 * shade(face.albedo, face.shading), morphable.triangles, fragments)
    blocks = tf.nn.avg_pool2d(rendering, 4, 4, "VALID")[..., ::-1]
    assert_close(blocks, arrays["render_bgr_deep3d_56"], 1e-3)
    covered = tf.reduce_sum(fragments.mask, axis=[1, 2, 3])
    np.testing.assert_allclose(covered, arrays["render_mask_deep3d"], atol=3)
    front = rasterize(clip, front_triangles(morphable.face_model), camera.image_size)
    np.testing.assert_allclose(tf.reduce_sum(front.mask, axis=[1, 2, 3]), arrays["render_front_mask_deep3d"], atol=3)
