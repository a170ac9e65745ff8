"""model/networks/texture_networks.py and model/networks/texture_branches.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from configs.network_sections import HEADS, INPUTS, VARIANTS
from lib.mesh_sampling import MeshHierarchy, build_hierarchy
from model.losses import weight_decay
from model.networks.texture_networks import COARSE_WHERE_HIDDEN, TextureNetwork
from model.projection import SampledColours, projected_albedo
from tests.support.helpers import assert_close, golden, sparse
from tests.support.meshes import wavy_grid
from tests.support.published_files.published import assign

EMBEDDING = 6
PUBLISHED = {"head": "published", "inputs": "lit", "intrinsic": False, "order": 6}


@pytest.fixture(scope="module")
def data():
    return golden("networks")


@pytest.fixture(scope="module")
def published_hierarchy(data):
    return MeshHierarchy(
        vertices=(),
        triangles=(),
        adjacency=tuple(sparse(data, f"A{i}") for i in range(5)),
        laplacian=tuple(sparse(data, f"L{i}") for i in range(5)),
        down=tuple(sparse(data, f"D{i}") for i in range(4)),
        up=tuple(sparse(data, f"U{i}") for i in range(4)),
        factors=(),
        hash="",
    )


@pytest.fixture(scope="module")
def hierarchy():
    return build_hierarchy(*wavy_grid(12, 12), factors=(3, 3, 3, 3))


def weights_of(data, variant):
    return {name: value for name, value in data.items() if name.startswith(f"{variant}/mesh_generator/")}


@pytest.mark.parametrize("variant", ["normal", "normal_wide", "resnet"])
def test_published_networks_and_gradients(data, published_hierarchy, variant):
    network = TextureNetwork(
        published_hierarchy,
        64,
        variant=variant.split("_")[0],
        **PUBLISHED,
        wide="wide" in variant,
        nz=int(data["nz"]),
    )
    weights = weights_of(data, variant)
    assert {f"{variant}/mesh_generator/{name}" for name in network.named_variables()} == set(weights)
    assign(network, weights)
    names = network.named_variables()
    concat, fc = names["mesh_concat/weights"].value, names["mesh_decoder/fc/weights"].value

    @tf.function(autograph=False)
    def run(embedding, inputs):
        with tf.GradientTape() as tape:
            tape.watch([embedding, inputs])
            output = network.network(embedding, inputs)
            total = tf.reduce_sum(output * data["grad_w"])
        return output, tape.gradient(total, [embedding, inputs, concat, fc])

    embedding, inputs = tf.constant(data["image_emb"]), tf.constant(data["refine_input"])
    output, gradients = run(embedding, inputs)
    branches = network.branch_outputs(embedding, inputs)
    assert_close(np.swapaxes(branches[0], 0, 1), data[f"{variant}/decoder_out"])
    assert_close(np.swapaxes(branches[1], 0, 1), data[f"{variant}/refiner_out"])
    assert_close(output, data[f"{variant}/output"])
    expected = ("grad_image_emb", "grad_refine_input", "grad_concat_weights", "grad_decoder_fc_weights")
    for gradient, name in zip(gradients, expected, strict=True):
        assert_close(gradient, data[f"{variant}/{name}"], 2e-4)
    regularisation = sum(np.sum(np.square(v.numpy(), dtype=np.float64)) / 2 for v in network.regularised_variables())
    assert_close(regularisation, data[f"{variant}/regularizer_sum"])


def test_call_maps_colours_to_the_published_input(data, published_hierarchy):
    network = TextureNetwork(published_hierarchy, 64, variant="resnet", nz=int(data["nz"]), **PUBLISHED)
    assign(network, weights_of(data, "resnet"))
    refine_input = data["refine_input"]
    visibility = refine_input[..., 6:]
    colour = np.where(visibility > 0, (refine_input[..., 3:6] / np.maximum(visibility, 1e-6) + 1) / 2, 0.3)
    coarse = (refine_input[..., :3] + 1) / 2
    fine = network(data["image_emb"], coarse, colour.astype(np.float32), visibility, np.ones_like(coarse))
    assert_close(fine, (data["resnet/output"] + 1) / 2)


def network_of(hierarchy, variant="default", **changes) -> TextureNetwork:
    """A network with one texture and the photo's colours from one side, unless a test wants more."""
    options = {"head": "residual", "inputs": "delit", "intrinsic": False, "order": 3 if variant == "default" else 6}
    return TextureNetwork(hierarchy, EMBEDDING, **({"variant": variant, "nz": 8} | options | changes))


def inputs_of(hierarchy, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    count = hierarchy.level_sizes[0]
    return [
        tf.constant(array.astype(np.float32))
        for array in (
            rng.normal(size=(batch, EMBEDDING)),
            rng.uniform(0.2, 0.8, (batch, count, 3)),
            rng.uniform(0, 1, (batch, count, 3)),
            rng.integers(0, 2, (batch, count, 1)),
            rng.uniform(0.3, 1.5, (batch, count, 3)),
        )
    ]


def mirror_of(hierarchy):
    """Pairs first and last, second and last but one, ...: an involution."""
    return np.arange(hierarchy.level_sizes[0])[::-1]


def test_mirrored_inputs_end_with_what_the_other_side_shows(hierarchy):
    network = network_of(hierarchy, inputs="mirrored", mirror_index=mirror_of(hierarchy))
    one_sided = network_of(hierarchy)
    arguments = inputs_of(hierarchy)[1:]
    x = network.vertex_inputs(*arguments).numpy()
    np.testing.assert_array_equal(x[..., :7], one_sided.vertex_inputs(*arguments))
    np.testing.assert_array_equal(x[..., 7:], x[:, ::-1, 3:7])
    assert np.abs(x[..., 7:] - x[..., 3:7]).max() > 0.1
    for mirror in (None, [0, 1]):
        with pytest.raises(ValueError, match="mirror_index must name the mirror of each of 144 vertices"):
            network_of(hierarchy, inputs="mirrored", mirror_index=mirror)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_textures_add_to_the_coarse_albedo_and_learn_apart(hierarchy, variant):
    network = network_of(hierarchy, variant, intrinsic=True)
    arguments = inputs_of(hierarchy)
    assert network(*arguments).shape == (*arguments[1].shape[:2], 6)
    network.combiner.weight.assign(0 * network.combiner.weight)
    assert_close(network(*arguments), tf.tile(arguments[1], [1, 1, 2]), 1e-6)
    network.combiner.bias.assign([[[0.0, 0.0, 0.0, 0.2, 0.2, 0.2]]])
    appearance, albedo = tf.split(network(*arguments, training=True), 2, axis=-1)
    assert_close(appearance, arguments[1], 1e-6)
    assert_close(albedo, arguments[1] + 0.1, 1e-6)


def test_hidden_albedo_is_drawn_to_the_coarse_one_after_training(hierarchy):
    network, arguments = network_of(hierarchy, intrinsic=True), inputs_of(hierarchy)
    network.combiner.weight.assign(0 * network.combiner.weight)
    network.combiner.bias.assign([[[0.1, 0.1, 0.1, 0.2, 0.2, 0.2]]])
    appearance, albedo = tf.split(network(*arguments), 2, axis=-1)
    assert_close(appearance, arguments[1] + 0.05, 1e-6)
    assert_close(albedo, arguments[1] + 0.1 * (1 - COARSE_WHERE_HIDDEN * (1 - arguments[3])), 1e-6)


def test_delit_input_by_hand(hierarchy):
    network = network_of(hierarchy)
    coarse, colour, visibility = (
        np.float32([[[0.5, 0.4, 0.3]]]),
        np.float32([[[0.6, 0.9, 0.02]]]),
        np.float32([[[1]]]),
    )
    shading = np.float32([[[1.2, 0.4, 0.01]]])
    x = network.vertex_inputs(coarse, colour, visibility, shading).numpy()[0, 0]
    expected = [0.0, -0.2, -0.4, 0.0, 2 * (2.0 - 0.4), 2 * (0.25 - 0.3), 1.0]
    np.testing.assert_allclose(x, expected, atol=1e-6)
    hidden = network.vertex_inputs(coarse, colour, 0 * visibility, shading).numpy()[0, 0]
    np.testing.assert_allclose(hidden, expected[:3] + [0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("head", HEADS)
def test_every_combination_runs_and_every_variable_learns(hierarchy, variant, head):
    keras.utils.set_random_seed(0)
    for kind in INPUTS:
        mirror = mirror_of(hierarchy)
        network = network_of(hierarchy, variant, head=head, inputs=kind, order=2, mirror_index=mirror)
        for variable in network.trainable_variables:  # away from the zeros where ReLU has no gradient
            variable.assign_add(0.05 * keras.random.uniform(variable.shape))
        arguments = inputs_of(hierarchy)
        with tf.GradientTape() as tape:
            fine = network(*arguments)
            total = tf.reduce_sum(tf.square(fine - 0.3))
        assert fine.shape == arguments[1].shape
        for variable, gradient in zip(
            network.trainable_variables, tape.gradient(total, network.trainable_variables), strict=True
        ):
            assert gradient is not None, variable.path
            assert np.abs(gradient).max() > 0, variable.path
        assert len(network.named_variables()) == len(network.trainable_variables)
        assert len({id(v) for v in network.named_variables().values()}) == len(network.trainable_variables)


@pytest.mark.parametrize("variant", VARIANTS)
def test_residual_head_starts_at_the_projection(hierarchy, variant):
    keras.utils.set_random_seed(0)
    embedding, coarse, colour, visibility, shading = inputs_of(hierarchy)
    network = network_of(hierarchy, variant, intrinsic=True)
    weight = network.combiner.weight.numpy()
    # What is random is small; without it the start is exact.
    assert np.abs(weight - np.rint(weight)).max() < 0.1
    network.combiner.weight.assign(np.rint(weight))
    appearance, albedo = np.split(network(embedding, coarse, colour, visibility, shading), 2, axis=-1)
    assert_close(appearance, projected_albedo(coarse, SampledColours(colour, visibility), shading), 1e-6)
    assert_close(albedo, coarse, 1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_residual_head_adds_to_the_coarse_albedo(hierarchy, variant):
    keras.utils.set_random_seed(0)
    arguments = inputs_of(hierarchy)
    lit = network_of(hierarchy, variant, inputs="lit")
    assert np.abs(lit(*arguments) - arguments[1]).mean() < 0.15
    network = network_of(hierarchy, variant)
    network.combiner.weight.assign(0 * network.combiner.weight)
    assert_close(network(*arguments), arguments[1], 1e-6)
    network.combiner.bias.assign(0.2 + network.combiner.bias)
    assert_close(network(*arguments), arguments[1] + 0.1, 1e-6)


def test_batch_of_two_is_two_batches_of_one(hierarchy):
    network = network_of(hierarchy)
    arguments = inputs_of(hierarchy)
    single = [network(*[a[i : i + 1] for a in arguments]) for i in range(2)]
    assert_close(np.concatenate(single), network(*arguments), 1e-5)


def test_the_photo_and_the_embedding_both_count(hierarchy):
    network = network_of(hierarchy)
    arguments = inputs_of(hierarchy)
    before = network(*arguments).numpy()
    for i in (0, 2):
        changed = list(arguments)
        changed[i] = changed[i] + 0.5
        assert np.abs(network(*changed) - before).max() > 1e-4


def test_hidden_vertices_ignore_the_photo(hierarchy):
    network = network_of(hierarchy)
    arguments = inputs_of(hierarchy)
    arguments[3] = tf.zeros_like(arguments[3])
    before = network(*arguments).numpy()
    arguments[2] = arguments[2] * 0.1
    np.testing.assert_array_equal(network(*arguments), before)


def test_dropout_acts_in_training_only(hierarchy):
    arguments = inputs_of(hierarchy)
    for rate in (0.0, 0.5):
        network = network_of(hierarchy, "normal", dropout=rate)
        still = network(*arguments, training=False).numpy()
        np.testing.assert_array_equal(network(*arguments, training=False), still)
        change = np.abs(network(*arguments, training=True) - still).max()
        assert (change > 1e-5) == (rate > 0)


def test_an_unknown_batch_size_is_accepted(hierarchy):
    network = network_of(hierarchy)
    arguments = inputs_of(hierarchy, batch=3)
    specs = [tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in arguments]
    compiled = tf.function(lambda *a: network(*a), input_signature=specs, autograph=False)
    assert_close(compiled(*arguments), network(*arguments), 1e-5)


def test_wrong_options_are_refused(hierarchy):
    for option in ("variant", "head", "inputs"):
        with pytest.raises(ValueError, match=f"{option} must be one of"):
            network_of(hierarchy, **{option: "other"})
    with pytest.raises(ValueError, match="five levels"):
        network_of(build_hierarchy(*wavy_grid(5, 5), factors=(2,)))


def test_the_default_learns_to_copy_the_photo(hierarchy):
    """A few dozen updates on one batch bring the visible vertices closer to the de-lit photo."""
    keras.utils.set_random_seed(0)
    network = network_of(hierarchy)
    arguments = inputs_of(hierarchy)
    arguments[2] = 0.5 * arguments[4] * (0.3 + arguments[2])
    target = tf.clip_by_value(arguments[2] / arguments[4], 0.0, 1.0)
    optimizer = keras.optimizers.Adam(3e-3)

    @tf.function(autograph=False)
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(arguments[3] * tf.abs(network(*arguments, training=True) - target))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    optimizer.build(network.trainable_variables)
    first = float(update())
    assert any(float(update()) < 0.2 * first for _ in range(59))


def test_the_default_learns_what_only_the_embedding_tells(hierarchy):
    """Two faces alike in all but the embedding, under the default's weight decay."""
    keras.utils.set_random_seed(0)
    network = network_of(hierarchy, intrinsic=True)
    _, *rest = [tf.repeat(array, 2, axis=0) for array in inputs_of(hierarchy, batch=1)]
    embedding = tf.constant([[1.0] * EMBEDDING, [-1.0] * EMBEDDING])
    target = rest[0] + tf.constant([0.1, -0.1])[:, None, None]
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)
    decay = schema.load().loss.weight_decay

    @tf.function(autograph=False)
    def update():
        with tf.GradientTape() as tape:
            albedo = network(embedding, *rest, training=True)[..., 3:]
            loss = tf.reduce_mean(tf.abs(albedo - target)) + decay * weight_decay(network.regularised_variables())
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)

    @tf.function(autograph=False)
    def apart():
        bright, dark = tf.unstack(network(embedding, *rest)[..., 3:] - rest[0])
        return tf.reduce_mean(bright) - tf.reduce_mean(dark)

    def learned() -> float:
        for _ in range(10):
            update()
        return float(apart())

    assert any(learned() > 0.15 for _ in range(20))
