import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.geometry.camera import Camera
from lib.mesh_sampling import MeshHierarchy
from model import losses
from model.face_gcn import FaceGCN
from model.losses import weight_decay, weighted_total
from model.morphable_model import MorphableModel
from model.pipeline import build_camera, build_texture_network
from model.runs.checkpoints import Progress
from model.training.plan import loss_weights
from tests.support.golden_face import golden_face_model, reference_face_model
from tests.support.helpers import ROOT, assert_close, golden, sparse
from tests.support.published_files.published import assign, camera_of_fov, unit_square


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


def paper_config(arrays):
    """configs/paper.yaml as it stands, but for the reference's sizes."""
    sizes = {"data.image_size": 64, "texture.nz": int(arrays["nz"]), "texture.factors": arrays["factors"].tolist()}
    return schema.load(ROOT / "configs" / "paper.yaml", sizes)


def published_face_gcn(arrays, network):
    """The paper's configuration; face model, pairs and identity features are the reference's."""
    config, pairs = paper_config(arrays), np.stack([arrays["left_index"], arrays["right_index"]], -1)
    morphable = MorphableModel(reference_face_model(), pairs=pairs)
    camera = build_camera(config)
    return FaceGCN(morphable, camera, network, config.texture.projection, block_features(arrays))


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
    points = camera_of_fov(64).project(coarse.face.vertices)
    assert_close(unit_square(points, 64), arrays["proj_vert"])
    landmarks = unit_square(coarse.face.landmarks, 64)
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
    face_gcn = published_face_gcn(arrays, given_texture(arrays["gcn_texture"]))
    crop = crop_of(arrays)
    result = face_gcn(crop, arrays["coeff"], arrays["image_emb"])
    check_forward(arrays, result)
    check_terms(arrays, face_gcn.terms(result, crop))
    assert_close(face_gcn.identity_features(crop[..., :3]), arrays["input_feat"])
    assert_close(face_gcn.identity_features(result.overlay), arrays["gcn_feat"])

    texture = tf.constant(arrays["gcn_texture"])
    with tf.GradientTape() as tape:
        tape.watch(texture)
        result = face_gcn.render(result.coarse, (texture + 1) / 2, crop)
        identity = face_gcn.terms(result, crop, arrays["input_feat"])["identity"]
    assert_close(tape.gradient(identity, texture), arrays["grad_gcn_texture_of_perception"], 1e-3)


def reference_hierarchy(arrays):
    """The mesh levels that the reference was computed on; only their matrices are known."""
    return MeshHierarchy(
        vertices=(),
        triangles=(),
        adjacency=(),
        laplacian=tuple(sparse(arrays, f"L{level}") for level in range(5)),
        down=tuple(sparse(arrays, f"D{level}") for level in range(4)),
        up=tuple(sparse(arrays, f"U{level}") for level in range(4)),
        factors=(),
        hash="",
    )


def test_published_reference_whole(arrays):
    """Crop to total loss with the paper's configuration, and back to its network's weights and the embedding."""
    config = paper_config(arrays)
    vertices = np.arange(len(arrays["pca_texture"][0]))
    network = build_texture_network(config, reference_hierarchy(arrays), 32, vertices)
    assign(network, {name: array for name, array in arrays.items() if name.startswith("normal/")})
    face_gcn = published_face_gcn(arrays, network)
    crop, embedding = crop_of(arrays), tf.constant(arrays["image_emb"])
    weights = loss_weights(config, Progress(epoch=5), 1)  # from this epoch on they are the reference's
    assert weights["coarse"] == pytest.approx(float(arrays["lambda_ref"]))
    assert weights["project"] == pytest.approx(float(arrays["lambda_ren"]))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(embedding)
        result = face_gcn(crop, arrays["coeff"], embedding)
        terms = face_gcn.terms(result, crop)
        terms["weight_decay"] = weight_decay(network.regularised_variables())
        total = weighted_total(terms, weights)
    check_forward(arrays, result)
    sampled = result.coarse.sampled
    vertex_inputs = network.vertex_inputs(
        result.coarse.albedo, sampled.colour, sampled.visibility, result.coarse.face.shading
    )
    assert_close(vertex_inputs, arrays["refine_input"])
    check_terms(arrays, terms)
    assert_close(5e-4 * terms["weight_decay"], arrays["loss_regularization"])
    assert_close(total, arrays["loss_total"])

    of_identity = tape.gradient(terms["identity"], result.albedo)
    assert_close(of_identity / 2, arrays["grad_gcn_texture_of_perception"], 1e-3)
    prefix = "grad/mesh_generator/"
    names = [name for name in arrays if name.startswith(prefix)]
    assert len(names) == 5
    variables = [network.named_variables()[name.removeprefix(prefix)].value for name in names]
    gradients = tape.gradient(total, [embedding, *variables])  # in one call: each builds the whole way back anew
    for gradient, name in zip(gradients, ["grad_image_emb", *names], strict=True):
        assert_close(gradient, arrays[name], 1e-3)


def blend_network(embedding, albedo, colour, visibility, shading, training):
    """The de-lit photo where it is visible: depends on every input that a texture network has but the embedding."""
    delit = colour / tf.maximum(shading, 0.08)
    return albedo + (delit - albedo) * visibility


def default_face_gcn(size=96, **others):
    return FaceGCN(MorphableModel(golden_face_model()), Camera((size, size)), blend_network, **others)


def random_coefficients(batch, seed=0):
    """Faces near the mean, turned and lit a little."""
    coefficients = 0.3 * np.random.default_rng(seed).normal(size=(batch, 257))
    coefficients[:, 227:254] *= 0.2
    coefficients[:, 254:] *= 0.3
    return tf.constant(coefficients, tf.float32)


def rendered_crop(face_gcn, coefficients):
    """A crop that shows the coefficients' face itself on grey."""
    size = face_gcn.camera.image_size
    blank = tf.fill([coefficients.shape[0], *size, 4], 0.5)
    coarse = face_gcn.coarse(coefficients, blank)
    mask = coarse.fragments.mask
    return tf.concat([coarse.rendering + 0.5 * (1 - mask), mask], axis=-1)


@pytest.mark.parametrize("projection", ["zbuffer", "published"])
def test_batch_of_two_equals_two_of_one_in_a_graph_of_any_batch(projection, arrays):
    face_gcn = default_face_gcn(64, projection=projection, identity_features=block_features(arrays))
    coefficients = random_coefficients(2)
    crop = tf.constant(np.random.default_rng(1).uniform(size=(2, 64, 64, 4)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 64, 64, 4]), tf.TensorSpec([None, 257])], autograph=False)
    def reconstruct(crop, coefficients):
        result = face_gcn(crop, coefficients, tf.zeros([tf.shape(crop)[0], 4]))
        return result, face_gcn.terms(result, crop)

    both, _ = reconstruct(crop, coefficients)
    for index in range(2):
        alone, terms = reconstruct(crop[index : index + 1], coefficients[index : index + 1])
        for ours, theirs in zip(tf.nest.flatten(alone), tf.nest.flatten(both), strict=True):
            np.testing.assert_allclose(ours[0], theirs[index], atol=1e-4)
        assert all(np.isfinite(value) for value in terms.values())
    assert reconstruct.experimental_get_tracing_count() == 1


def test_a_rendered_face_is_read_back_at_its_visible_vertices():
    """The crop's colours belong to the vertices, without the half pixel that the published projection is off."""
    face_gcn = default_face_gcn(224)
    coefficients = random_coefficients(2)
    crop = rendered_crop(face_gcn, coefficients)
    coarse = face_gcn.coarse(coefficients, crop)
    visible = coarse.sampled.visibility[..., 0].numpy() > 0
    # Hidden corners of seen triangles take the mean of a neighbourhood; their own pixel sees something else.
    column, row = np.floor(face_gcn.camera.project(coarse.face.vertices)).astype(int).transpose(2, 0, 1).clip(0, 223)
    triangle = coarse.fragments.triangle_id.numpy()[np.arange(len(row))[:, None], row, column]
    corners = face_gcn.morphable.triangles.numpy()[triangle]
    visible &= (corners == np.arange(row.shape[1])[None, :, None]).any(-1)
    assert visible.mean() > 0.3
    default = np.abs(coarse.sampled.colour - coarse.colour).max(-1)[visible].mean()
    published = FaceGCN(face_gcn.morphable, face_gcn.camera, blend_network, "published").coarse(coefficients, crop)
    nearest = np.abs(published.sampled.colour - coarse.colour).max(-1)[visible].mean()
    assert default < 3e-3
    assert default < 0.7 * nearest


def test_the_overlay_keeps_the_photo_outside():
    face_gcn = default_face_gcn()
    coefficients = random_coefficients(1)
    crop = tf.constant(np.random.default_rng(1).uniform(size=(1, 96, 96, 4)).round(1), tf.float32)
    result = face_gcn(crop, coefficients, None)
    inside = (result.mask * crop[..., 3:])[..., 0].numpy()
    np.testing.assert_allclose(result.overlay[inside == 0], crop[..., :3][inside == 0])
    assert 0.1 < result.mask.numpy().mean() < 0.9
    np.testing.assert_allclose(result.overlay[inside == 1], result.rendering[inside == 1])


def test_gradients_reach_the_albedo_and_descend():
    """From a grey start the converging loss finds the colours of the photo."""
    face_gcn = default_face_gcn()
    coefficients = random_coefficients(2)
    crop = rendered_crop(face_gcn, coefficients)
    coarse = face_gcn.coarse(coefficients, crop)
    albedo = tf.Variable(tf.fill(coarse.albedo.shape, 0.5))
    optimizer = tf.keras.optimizers.Adam(0.03)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            terms = face_gcn.terms(face_gcn.render(coarse, albedo, crop), crop)
            total = weighted_total(terms, {"render": 1.0, "project": 0.2, "symmetry": 0.05})
        optimizer.apply_gradients([(tape.gradient(total, albedo), albedo)])
        return terms["render"]

    losses = [float(step()) for _ in range(60)]
    assert losses[-1] < 0.15 * losses[0]


def test_terms_without_identity_features_and_photo_features_given(arrays):
    face_gcn = default_face_gcn(64)
    crop = tf.fill([1, 64, 64, 4], 0.5)
    result = face_gcn(crop, random_coefficients(1), None)
    assert "identity" not in face_gcn.terms(result, crop)
    features = block_features(arrays)
    face_gcn = default_face_gcn(64, identity_features=features)
    own = face_gcn.terms(result, crop)["identity"]
    assert float(own) == float(face_gcn.terms(result, crop, features(crop[..., :3]))["identity"])


def test_refuses_other_crops_and_projections():
    with pytest.raises(ValueError, match=r"crop must be \[B, 96, 96, 4\] RGBA, got \[1, 64, 64, 4\]"):
        default_face_gcn().coarse(random_coefficients(1), tf.zeros([1, 64, 64, 4]))
    with pytest.raises(ValueError, match="projection must be one of zbuffer, published, got 'mesh'"):
        default_face_gcn(projection="mesh")


def test_two_textures_show_one_in_the_photo_and_keep_the_other_for_other_light():
    """Appearance is what is rendered; the albedo has its own target, the true one where it is known."""

    def two(embedding, albedo, colour, visibility, shading, training):
        appearance = blend_network(embedding, albedo, colour, visibility, shading, training)
        return tf.concat([appearance, tf.ones_like(albedo) * 0.25], axis=-1)

    face_gcn = FaceGCN(MorphableModel(golden_face_model()), Camera((64, 64)), two)
    single = default_face_gcn(64)
    crop = tf.constant(np.random.default_rng(1).uniform(size=(1, 64, 64, 4)), tf.float32)
    coefficients = random_coefficients(1)
    result, expected = face_gcn(crop, coefficients, None), single(crop, coefficients, None)
    np.testing.assert_array_equal(result.rendering, expected.rendering)
    np.testing.assert_array_equal(result.appearance, expected.albedo)
    np.testing.assert_array_equal(result.albedo, tf.fill(result.albedo.shape, 0.25))
    assert expected.albedo is expected.appearance

    unknown = face_gcn.terms(result, crop)
    assert float(unknown["albedo"]) == pytest.approx(2 * np.abs(result.appearance - 0.25).mean(), rel=1e-5)
    assert float(unknown["variance"]) < 1e-8 < float(single.terms(expected, crop)["variance"])
    known = face_gcn.terms(result, crop, true_albedo=tf.fill(result.albedo.shape, 0.35))
    assert float(known["albedo"]) == pytest.approx(0.2, rel=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(result.appearance)
        pulled = face_gcn.terms(result, crop)["albedo"]
    assert tape.gradient(pulled, result.appearance) is None  # the photo's layer does not follow the albedo


def test_faces_of_which_something_was_hidden_do_not_count_in_the_identity_term(arrays):
    features, crop = block_features(arrays), crop_of(arrays)
    face_gcn = default_face_gcn(64, identity_features=features)
    result = face_gcn(crop, tf.constant(arrays["coeff"]), tf.zeros([len(crop), 4]))
    each = [
        float(losses.identity_distance(features(result.overlay[i : i + 1]), features(crop[i : i + 1, ..., :3])))
        for i in range(len(crop))
    ]
    unoccluded = np.ones([len(crop), face_gcn.morphable.vertex_count, 1], np.float32)
    whole = float(face_gcn.terms(result, crop, unoccluded=tf.constant(unoccluded))["identity"])
    # 1 - cosine of nearly equal features: float32 keeps few of its digits.
    assert whole == pytest.approx(np.mean(each), rel=1e-4)
    unoccluded[0, 3] = 0
    some = float(face_gcn.terms(result, crop, unoccluded=tf.constant(unoccluded))["identity"])
    assert some == pytest.approx(sum(each[1:]) / len(each), rel=1e-4)
    assert each[0] > 1e-3
