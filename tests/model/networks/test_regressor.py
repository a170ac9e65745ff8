"""The coefficient network, and weights on disk."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.files import headed_npz
from model.networks.regressor import Regressor, resize_square
from model.networks.resnet import ResNet
from model.networks.variable_names import network_variables
from model.weights.pretrained import load_weights, read_metadata, save_weights, stored_precision
from tests.support.helpers import assert_close
from utils import seed_everything

LAYOUT = CoefficientLayout(5, 4, 3)


def small(width: int = 8, **options) -> Regressor:
    seed_everything(1)
    return Regressor(LAYOUT, 18, width, 32, **options)


def randomise(network) -> None:
    """Every variable random, moving statistics and zero heads included."""
    generator = np.random.default_rng(0)
    for variable in network.weights:
        spread = generator.uniform(0.5, 1.5, variable.shape) if "variance" in variable.path else None
        variable.assign(spread if spread is not None else generator.normal(0, 0.2, variable.shape))


@pytest.fixture(scope="module")
def built():
    """Two equal networks and their variables, untrained: to build one takes half a second."""
    networks = small(), small()
    return *networks, [np.asarray(variable) for variable in networks[0].weights]


@pytest.fixture
def source(built) -> Regressor:
    """A network of random variables."""
    randomise(built[0])
    return built[0]


@pytest.fixture
def target(built) -> Regressor:
    """An untrained network."""
    for variable, value in zip(built[1].weights, built[2], strict=True):
        variable.assign(value)
    return built[1]


def test_untrained_regressor_answers_with_the_mean_face(target):
    images = tf.random.uniform([3, 48, 40, 3], seed=1)
    coefficients, features = target(images)
    assert coefficients.shape == (3, LAYOUT.size)
    assert features.shape == (3, 64)
    np.testing.assert_array_equal(coefficients, 0.0)
    assert np.std(features) > 0


@pytest.mark.parametrize(("depth", "width", "channels"), [(18, 8, 64), (34, 4, 32), (50, 4, 128)])
def test_backbone_ends_at_a_thirty_second_of_the_image(depth, width, channels):
    network = ResNet(depth, width)
    assert network(tf.zeros([2, 64, 96, 3])).shape == (2, 2, 3, channels)
    assert network.channels == channels


def test_resnet50_has_the_published_number_of_parameters():
    network = ResNet(50, 64)
    network(tf.zeros([1, 32, 32, 3]))
    # He et al.: 25,557,032 with a classifier of 2048 x 1000 + 1000.
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == 25_557_032 - 2_049_000


def test_published_input_is_bgr_bytes(target):
    images = tf.random.uniform([1, 32, 32, 3], seed=2)
    published = small(input_range="published")
    centred = target
    expected = published.resnet(images[..., ::-1] * 255.0)
    assert_close(published(images)[1], tf.reduce_mean(expected, axis=(1, 2)))
    assert_close(centred(images)[1], tf.reduce_mean(centred.resnet(images * 2.0 - 1.0), axis=(1, 2)))


def test_a_photo_in_a_batch_gets_the_answer_it_gets_alone(source):
    images = tf.random.uniform([4, 32, 32, 3], seed=3)
    together = source(images)[0]
    for i in range(4):
        assert_close(source(images[i : i + 1])[0][0], together[i], 1e-5)


def test_resizing_keeps_constants_means_and_gradients():
    image = tf.random.uniform([1, 96, 96, 3], seed=4)
    assert resize_square(image, 96) is image
    assert_close(resize_square(tf.fill([1, 96, 96, 3], 0.37), 32), np.full([1, 32, 32, 3], 0.37), 1e-5)
    assert abs(float(tf.reduce_mean(resize_square(image, 32)) - tf.reduce_mean(image))) < 5e-3
    with tf.GradientTape() as tape:
        tape.watch(image)
        mean = tf.reduce_mean(resize_square(image, 32))
    # Every pixel takes part: a resize that skips pixels would leave zeros.
    assert float(tf.reduce_min(tape.gradient(mean, image))) > 0


@pytest.mark.parametrize("options", [{"depth": 20}, {"width": 0}, {"image_size": 16}, {"input_range": "rgb"}])
def test_impossible_networks_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        Regressor(LAYOUT, **{"depth": 18, "width": 4, "image_size": 32, **options})


def assert_stored(read, written):
    """The variables of `read` are those of `written` as a file holds them."""
    with stored_precision(written):
        for ours, theirs in zip(read.weights, written.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_weights_survive_the_file(tmp_path, source, target):
    path = tmp_path / "weights.npz"
    save_weights(path, source, "cafe", {"seed": 3, "landmarks": 2.5})
    assert load_weights(path, target, "cafe") == {"seed": 3, "landmarks": 2.5}
    images = tf.random.uniform([2, 32, 32, 3], seed=5)
    assert_close(target(images)[0], source(images)[0], 5e-2)
    assert_stored(target, source)
    with stored_precision(source):
        assert_close(target(images)[0], source(images)[0], 1e-6)
    assert read_metadata(path) == {"seed": 3, "landmarks": 2.5, "face_model": "cafe"}


class Variables:
    """Two variables: a large kernel, whose second channel is silent, and a bias."""

    def __init__(self, kernel, bias):
        self.weights = [keras.Variable(kernel, name="kernel"), keras.Variable(bias, name="bias")]


def test_large_kernels_take_a_byte_an_entry_and_are_read_as_they_were_measured(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 40, 50)).astype(np.float32) * np.logspace(-3, 1, 50)
    kernel[..., 1] = 0
    source, target = Variables(kernel, np.ones(7)), Variables(np.zeros_like(kernel), np.zeros(7))
    path = tmp_path / "weights.npz"
    save_weights(path, source, "cafe", {})
    assert path.stat().st_size < 1.1 * kernel.size
    load_weights(path, target, "cafe")
    read = np.asarray(target.weights[0])
    assert (np.abs(read - kernel).max((0, 1, 2)) <= 0.51 / 127 * np.abs(kernel).max((0, 1, 2))).all()
    with stored_precision(source):
        for stored, loaded in zip(source.weights, target.weights, strict=True):
            np.testing.assert_array_equal(stored, loaded)
    np.testing.assert_array_equal(source.weights[0], np.float32(kernel))


def test_weights_in_half_precision_are_still_read(tmp_path, source, target):
    arrays = {name: np.float16(variable) for name, variable in network_variables(source.weights).items()}
    header = {"format": "weights-2", "face_model": "cafe", "metadata": {}}
    headed_npz.write(tmp_path / "weights.npz", arrays, header)
    load_weights(tmp_path / "weights.npz", target, "cafe")
    for ours, theirs in zip(target.weights, source.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=5e-4, atol=1e-7)


def test_weights_of_another_face_model_are_refused_and_nothing_changes(tmp_path, source, target):
    path = tmp_path / "weights.npz"
    save_weights(path, source, "cafe", {})
    before = [np.asarray(v) for v in target.weights]
    with pytest.raises(UserError, match=r"beef.*cafe.*main\.py --mode pretrain"):
        load_weights(path, target, "beef")
    for old, new in zip(before, target.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_weights_of_another_network_are_refused(tmp_path, source):
    path = tmp_path / "weights.npz"
    save_weights(path, source, "cafe", {})
    with pytest.raises(UserError, match=r"must be \[7, 7, 3, 4\], got \[7, 7, 3, 8\]: another depth"):
        load_weights(path, small(width=4), "cafe")
    with pytest.raises(UserError, match="another depth"):
        load_weights(path, Regressor(LAYOUT, 34, 8, 32), "cafe")


def test_weights_go_by_their_names_whatever_their_order(tmp_path, source, target):
    save_weights(tmp_path / "weights.npz", source, "cafe", {})
    header, arrays = headed_npz.read(tmp_path / "weights.npz")
    headed_npz.write(tmp_path / "backwards.npz", dict(reversed(arrays.items())), header)
    load_weights(tmp_path / "backwards.npz", target, "cafe")
    assert_stored(target, source)


def test_two_swapped_arrays_of_one_shape_are_refused(tmp_path, source, target):
    path = tmp_path / "weights.npz"
    save_weights(path, source, "cafe", {})
    with np.load(path) as data:
        arrays = dict(data)
    first, second = (f"regressor/resnet/stage1_block1/{layer}/convolution/kernel" for layer in ("first", "second"))
    assert arrays[first].shape == arrays[second].shape
    arrays[first], arrays[second] = arrays[second], arrays[first]
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"stage1_block1/.* is not the one that was written under this name"):
        load_weights(path, target, "cafe")


def test_files_that_are_no_weights_are_refused(tmp_path, target):
    with pytest.raises(UserError, match="got none"):
        load_weights(tmp_path / "none.npz", target, "cafe")
    (tmp_path / "text.npz").write_text("not weights")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "old.npz", header=np.frombuffer(json.dumps({"format": "0"}).encode(), np.uint8))
    save_weights(tmp_path / "cut.npz", target, "cafe", {})
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text", "other", "old", "cut"):
        with pytest.raises(UserError, match=f"{name}.npz: must be weights"):
            load_weights(tmp_path / f"{name}.npz", target, "cafe")


def test_weights_beyond_half_precision_are_refused(tmp_path, target):
    target.weights[0].assign(np.full(target.weights[0].shape, 1e5))
    with pytest.raises(ValueError, match="half precision"):
        save_weights(tmp_path / "w.npz", target, "cafe", {})
    assert not list(tmp_path.iterdir())
