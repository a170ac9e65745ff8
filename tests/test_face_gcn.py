import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera, to_unit_square
from model.face_gcn import FaceGCN
from model.losses import converging_weights, weighted_total
from model.morphable_model import MorphableModel
from tests.golden_face import golden_face_model
from tests.helpers import assert_close, golden


@pytest.fixture(scope="module")
def arrays():
    return golden("pipeline")


def crop_of(arrays):
    image = arrays["image"]
    return tf.constant(np.concatenate([(image[..., :3] + 1) / 2, image[..., 3:]], -1))


def block_features(arrays):
    """The stand-in for an identity network that the reference was computed with."""

    def features(image):
        blocks = tf.nn.avg_pool2d(2 * image - 1, 8, 8, "VALID")
        return tf.matmul(tf.reshape(blocks, [-1, 192]), arrays["feature_projection"])

    return features


def published_chain(arrays, network):
    pairs = np.stack([arrays["left_index"], arrays["right_index"]], -1)
    morphable = MorphableModel(golden_face_model(), "area", incidence_limit=8, pairs=pairs)
    camera = Camera.from_fov((64, 64), 12.5936, near=0.001, far=30.0)
    return FaceGCN(morphable, camera, network, "published", block_features(arrays))


def given_texture(texture):
    """A texture network that answers with a known albedo."""
    return lambda embedding, albedo, colour, visibility, shading, training: (texture + 1) / 2


def rgba(colour, mask):
    """A rendering as the reference stores it: RGB in [-1, 1], then alpha."""
    return np.concatenate([2 * np.asarray(colour) - 1, mask], -1)


def check_forward(arrays, result):
    coarse = result.coarse
    assert_close(2 * coarse.albedo - 1, arrays["pca_texture"])
    assert_close(2 * coarse.colour - 1, arrays["pca_color"])
    visibility = coarse.sampled.visibility
    assert_close(tf.concat([(2 * coarse.sampled.colour - 1) * visibility, visibility], -1), arrays["proj_color"])
    points = Camera.from_fov((64, 64), 12.5936).project(coarse.face.vertices)
    assert_close(to_unit_square(points, (64, 64)), arrays["proj_vert"])
    landmarks = to_unit_square(coarse.face.landmarks, (64, 64))
    assert_close(landmarks[:, 17:], arrays["lm_project"])
    assert_close(2 * result.albedo - 1, arrays["gcn_texture"])
    assert_close(2 * result.colour - 1, arrays["gcn_color"])
    stable = arrays["render_stable_mask"][..., None] > 0
    for rendering, name in ((coarse.rendering, "pca_render_color"), (result.rendering, "gcn_render_color")):
        assert_close(np.where(stable, rgba(rendering, result.mask), 0), np.where(stable, arrays[name], 0))


def check_terms(arrays, terms):
    expected = {
        "render": "gcn_render",
        "coarse_render": "pca_render",
        "project": "project_image",
        "hidden": "project_pca",
        "coarse": "refine",
        "identity": "perception",
        "variance": "var",
        "symmetry": "sym",
    }
    for name, published in expected.items():
        assert_close(terms[name], arrays[f"loss_{published}"])
    assert_close(terms["project"] + 0.3 * terms["hidden"], arrays["loss_project"])


def test_published_reference_with_its_texture_given(arrays):
    """All but the network: geometry, projection, colours, rendering, overlay, terms, and a gradient through them."""
    chain = published_chain(arrays, given_texture(arrays["gcn_texture"]))
    crop = crop_of(arrays)
    result = chain(crop, arrays["coeff"], arrays["image_emb"])
    check_forward(arrays, result)
    check_terms(arrays, chain.terms(result, crop))
    assert_close(chain.identity_features(crop[..., :3]), arrays["input_feat"])
    assert_close(chain.identity_features(result.overlay), arrays["gcn_feat"])

    texture = tf.constant(arrays["gcn_texture"])
    with tf.GradientTape() as tape:
        tape.watch(texture)
        result = chain.render(result.coarse, (texture + 1) / 2, crop)
        identity = chain.terms(result, crop, arrays["input_feat"])["identity"]
    assert_close(tape.gradient(identity, texture), arrays["grad_gcn_texture_of_perception"], 1e-3)
