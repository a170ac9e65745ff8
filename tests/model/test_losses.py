import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.images.morphology import published_erosion
from model.losses import (
    LossInputs,
    asymmetry,
    conditional_term,
    identity_distance,
    safe_norm,
    skin_variance,
    texture_terms,
    weight_decay,
    weighted_total,
)
from tests.support.helpers import assert_close, assert_gradient, golden, published_weights


def unit(array):
    """The published range [-1, 1] to the program's [0, 1]."""
    return (array + 1) / 2


@pytest.fixture(scope="module")
def arrays():
    return golden("losses_gcn")


def golden_terms(arrays, fine_albedo, fine_colour, features):
    inputs = LossInputs(
        image=unit(arrays["input_image"][..., :3]),
        image_mask=published_erosion(arrays["input_image"][..., 3:]),
        coarse_render=unit(arrays["pca_render"][..., :3]),
        fine_render=unit(arrays["gcn_render"][..., :3]),
        render_mask=arrays["gcn_render"][..., 3:],
        coarse_albedo=unit(arrays["pca_texture"]),
        fine_appearance=unit(fine_albedo),
        fine_albedo=unit(fine_albedo),
        albedo_target=unit(fine_albedo),
        coarse_colour=unit(arrays["pca_color"]),
        fine_colour=unit(fine_colour),
        sampled_colour=unit(arrays["proj_color"][..., :3]),
        visibility=arrays["proj_color"][..., 3:],
    )
    pairs = np.stack([arrays["left_index"], arrays["right_index"]], -1)
    terms = texture_terms(inputs, arrays["skin_index"], pairs)
    terms["identity"] = identity_distance(features, arrays["input_feat"])
    terms["weight_decay"] = weight_decay([tf.constant(arrays[f"reg_var{i}"]) for i in range(4)])
    return terms


def test_reference_terms(arrays):
    terms = golden_terms(arrays, arrays["gcn_texture"], arrays["gcn_color"], arrays["gcn_feat"])
    assert float(terms.pop("albedo")) == 0.0  # not in the published code; here target and albedo are the same
    expected = {
        "render": "gcn_render_loss",
        "coarse_render": "pca_render_loss",
        "project": "project_loss_image",
        "hidden": "project_loss_pca",
        "coarse": "refine_loss",
        "identity": "perception_loss",
        "variance": "var_loss",
        "symmetry": "sym_loss",
    }
    assert terms.keys() == {*expected, "weight_decay"}
    for name, published in expected.items():
        assert_close(terms[name], arrays[published])
    assert_close(terms["project"] + 0.3 * terms["hidden"], arrays["project_loss"])
    assert_close(5e-4 * terms["weight_decay"], arrays["regularization"])
    np.testing.assert_array_equal(published_erosion(arrays["input_image"][..., 3:]), arrays["skin_mask"])


def test_reference_totals(arrays):
    terms = golden_terms(arrays, arrays["gcn_texture"], arrays["gcn_color"], arrays["gcn_feat"])
    for (coarse, render), total, data in zip(
        arrays["lambdas_ref_ren"], arrays["totals"], arrays["data_losses"], strict=True
    ):
        weights = published_weights(float(coarse), float(render))
        assert_close(weighted_total(terms, weights), total)
        assert_close(weighted_total(terms, weights | {"weight_decay": 0}), data)


def test_reference_gradients(arrays):
    watched = [tf.constant(arrays[name]) for name in ("gcn_texture", "gcn_color", "gcn_feat")]
    weights = published_weights(*map(float, arrays["lambdas_ref_ren"][-1]))
    with tf.GradientTape() as tape:
        tape.watch(watched)
        total = weighted_total(golden_terms(arrays, *watched), weights)
    for gradient, name in zip(tape.gradient(total, watched), ("texture", "color", "feat"), strict=True):
        assert_close(gradient, arrays[f"grad_gcn_{name}"])


def random_inputs(generator, batch=2, size=6, count=8):
    def colours(*shape):
        return tf.constant(generator.uniform(size=(batch, *shape, 3)))

    def mask(*shape):
        return tf.constant(generator.integers(0, 2, size=(batch, *shape, 1)).astype(np.float64))

    image, vertex = (size, size), (count,)
    return LossInputs(
        colours(*image), mask(*image), colours(*image), colours(*image), mask(*image),
        *(colours(*vertex) for _ in range(7)), mask(*vertex),
    )  # fmt: skip


PAIRS = np.array([[0, 1], [2, 3]])
SKIN = np.array([0, 2, 5])


@pytest.mark.parametrize("term", ["render", "coarse_render", "project", "hidden", "coarse", "albedo"])
def test_zero_at_equality_and_without_gradient_there(term):
    given = random_inputs(np.random.default_rng(0))
    sources = {
        "render": ("fine_render", "image"),
        "coarse_render": ("coarse_render", "image"),
        "project": ("fine_colour", "sampled_colour"),
        "hidden": ("fine_colour", "coarse_colour"),
        "coarse": ("fine_appearance", "coarse_albedo"),
        "albedo": ("fine_albedo", "albedo_target"),
    }
    name, target = sources[term]
    variable = tf.identity(getattr(given, target))
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = texture_terms(dataclasses.replace(given, **{name: variable}), SKIN, PAIRS)[term]
    assert value == 0
    np.testing.assert_array_equal(tape.gradient(value, variable), np.zeros(variable.shape))


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("render", ("fine_render", "image")),
        ("coarse_render", ("coarse_render", "image")),
        ("project", ("fine_colour", "sampled_colour")),
        ("hidden", ("fine_colour", "coarse_colour")),
        ("coarse", ("fine_appearance", "coarse_albedo")),
        ("albedo", ("fine_albedo", "albedo_target")),
        ("symmetry", ("fine_albedo",)),
        ("variance", ("fine_albedo",)),
    ],
)
def test_gradients_of_the_texture_terms_are_those_of_finite_differences(term, names):
    given = random_inputs(np.random.default_rng(3), size=4)

    def value(*changed):
        return texture_terms(dataclasses.replace(given, **dict(zip(names, changed, strict=True))), SKIN, PAIRS)[term]

    assert_gradient(value, *(getattr(given, name) for name in names))


def test_gradients_of_the_other_terms_are_those_of_finite_differences():
    generator = np.random.default_rng(4)
    features, target, weight = generator.normal(size=(3, 5)), generator.normal(size=(3, 5)), np.array([1.0, 0.0, 0.5])
    assert_gradient(lambda *both: identity_distance(*both, tf.constant(weight)), features, target)
    assert_gradient(lambda *variables: weight_decay(variables), features, weight)
    assert_gradient(safe_norm, features)
    weights = {"a": 2.0, "b": tf.constant(0.3, tf.float64)}
    assert_gradient(lambda a, b: weighted_total({"a": a, "b": b, "unused": a}, weights), 0.7, 0.2)


@pytest.mark.parametrize(
    ("term", "name", "weight"),
    [
        ("render", "fine_render", lambda given: given.image_mask * given.render_mask),
        ("project", "fine_colour", lambda given: given.visibility),
        ("hidden", "fine_colour", lambda given: 1 - given.visibility),
    ],
)
def test_gradient_is_zero_exactly_under_the_mask(term, name, weight):
    given = random_inputs(np.random.default_rng(1))
    variable = getattr(given, name)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = texture_terms(given, SKIN, PAIRS)[term]
    gradient = tape.gradient(value, variable).numpy()
    counted = np.broadcast_to(weight(given).numpy() > 0, gradient.shape)
    assert counted.any()
    assert (gradient[counted] != 0).all()
    assert (gradient[~counted] == 0).all()


def test_an_empty_mask_costs_nothing_and_stays_finite():
    given = random_inputs(np.random.default_rng(2))
    given = dataclasses.replace(given, image_mask=tf.zeros_like(given.image_mask))
    with tf.GradientTape() as tape:
        tape.watch(given.fine_render)
        value = texture_terms(given, SKIN, PAIRS)["render"]
    assert value == 0
    np.testing.assert_array_equal(tape.gradient(value, given.fine_render), np.zeros(given.fine_render.shape))


def test_symmetric_and_uniform_albedo():
    albedo = tf.fill([2, 6, 3], tf.constant(0.4, tf.float64))
    with tf.GradientTape() as tape:
        tape.watch(albedo)
        value = asymmetry(albedo, PAIRS) + skin_variance(albedo, SKIN)
    assert value < 1e-7
    assert np.isfinite(tape.gradient(value, albedo)).all()
    assert asymmetry(albedo, np.zeros((0, 2), np.int32)) == 0
    lopsided = tf.tensor_scatter_nd_add(albedo, [[0, 0]], [[0.3, 0.0, 0.0]])
    assert float(asymmetry(lopsided, PAIRS)) == pytest.approx(0.6 / 4)  # one of two pairs in one of two faces


@pytest.mark.parametrize("needed", [True, False])
def test_a_conditional_term_has_the_value_and_the_gradient_of_the_branch_that_runs(needed):
    runs = []

    def term(x):
        return tf.reduce_sum(tf.numpy_function(lambda y: runs.append(1) or y, [x], tf.float32) * 0 + x**3)

    @tf.function(autograph=False)
    def step(x, needed):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = 5.0 * conditional_term(needed, term, x)
        return value, tape.gradient(value, x)

    value, gradient = step(tf.constant([1.0, 2.0]), tf.constant(needed))
    assert value == (45 if needed else 0)
    np.testing.assert_allclose(gradient, [15, 60] if needed else [0, 0])
    assert len(runs) == needed  # what is not needed is not computed


def test_identity_distance_of_zero_vectors_is_finite():
    features = tf.zeros([2, 4])
    with tf.GradientTape() as tape:
        tape.watch(features)
        value = identity_distance(features, tf.ones([2, 4]))
    assert value == 1
    assert np.isfinite(tape.gradient(value, features)).all()
    assert float(identity_distance(tf.ones([2, 4]), 3 * tf.ones([2, 4]))) == pytest.approx(0, abs=1e-6)


def test_norm_and_its_gradient_at_zero():
    vectors = tf.constant([[3.0, 4.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        norms = safe_norm(vectors)
    np.testing.assert_allclose(norms, [5, 0])
    np.testing.assert_allclose(tape.gradient(norms, vectors), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_weights_select_and_must_name_terms():
    terms = {"render": tf.constant(2.0), "coarse": tf.constant(3.0), "symmetry": tf.constant(100.0)}
    assert weighted_total(terms, {"render": 1.0, "coarse": tf.constant(0.5)}) == 3.5
    assert weighted_total(terms, {"identity": 0.0}) == 0
    with pytest.raises(ValueError, match=r"must name terms \(render, coarse, symmetry\), got identity"):
        weighted_total(terms, {"identity": 0.1})
    assert weight_decay([]) == 0
