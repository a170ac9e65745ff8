"""Weights of published ResNet-50s: the network computes with them what TF-Slim and torchvision compute."""

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from model.networks.resnet import ResNet
from model.weights.pretrained import is_frozen
from model.weights.published_networks import TorchRegressor
from model.weights.resnet_weights import initialise, load_slim, load_torch
from tests.support.published_files.torch_writer import save_torch

UNITS = (3, 4, 6, 3)
SIZE = 64
COUNTS = (80, 64, 80, 3, 27, 2, 1)
OLD_FORMAT = "{}-v1"  # the published checkpoint is of TensorFlow's first format: one file


def random_norm(generator, channels):
    """gamma, beta, mean and variance that show when any is left out or at another place."""
    return [
        generator.uniform(0.5, 1.5, channels), generator.normal(0, 0.3, channels),
        generator.normal(0, 0.3, channels), generator.uniform(0.5, 1.5, channels),
    ]  # fmt: skip


def places():
    """Stage, unit, convolution (0: shortcut) of a ResNet-50 and its kernel's shape, from 1; the stem comes first."""
    yield (0, 0, 1), (7, 7, 3, 64)
    channels = 64
    for stage, units in enumerate(UNITS, 1):
        width = 64 * 2 ** (stage - 1)
        for unit in range(1, units + 1):
            if unit == 1:
                yield (stage, unit, 0), (1, 1, channels, 4 * width)
            yield (stage, unit, 1), (1, 1, channels, width)
            yield (stage, unit, 2), (3, 3, width, width)
            yield (stage, unit, 3), (1, 1, width, 4 * width)
            channels = 4 * width


@pytest.fixture(scope="module")
def weights():
    """Place -> kernel [h, w, in, out] and the four vectors of its normalisation."""
    generator = np.random.default_rng(0)
    return {
        place: [
            array.astype(np.float32)
            for array in (
                generator.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape), *random_norm(generator, shape[3])
            )
        ]
        for place, shape in places()
    }  # fmt: skip


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(1).normal(size=(1, SIZE, SIZE, 3)).astype(np.float32)


def slim_name(place):
    stage, unit, number = place
    scope = f"resnet_v1_50/block{stage}/unit_{unit}/bottleneck_v1" if stage else "resnet_v1_50"
    return scope + (f"/conv{number}" if number else "/shortcut")


def torch_names(place):
    stage, unit, number = place
    scope = f"layer{stage}.{unit - 1}." if stage else ""
    return (
        (f"{scope}conv{number}", f"{scope}bn{number}") if number else (f"{scope}downsample.0", f"{scope}downsample.1")
    )


@pytest.fixture(scope="module")
def slim_file(tmp_path_factory, weights):
    """A checkpoint as TF-Slim's training writes it, the classifier and a counter included."""
    path = str(tmp_path_factory.mktemp("slim") / "resnet_v1_50.ckpt")
    names, values = ["resnet_v1_50/logits/weights", "global_step"], [np.zeros([1, 1, 2048, 5], np.float32), np.array(3)]
    for place, (kernel, *norm) in weights.items():
        names.append(f"{slim_name(place)}/weights")
        values.append(kernel)
        for name, value in zip(("gamma", "beta", "moving_mean", "moving_variance"), norm, strict=True):
            names.append(f"{slim_name(place)}/BatchNorm/{name}")
            values.append(value)
    tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    tf.raw_ops.Save(filename=OLD_FORMAT.format(path), tensor_names=names, data=values)
    return path


def torch_arrays(weights, prefix=""):
    found = {}
    for place, (kernel, *norm) in weights.items():
        convolution, name = torch_names(place)
        found[f"{prefix}{convolution}.weight"] = kernel.transpose(3, 2, 0, 1)
        for part, value in zip(("weight", "bias", "running_mean", "running_var"), norm, strict=True):
            found[f"{prefix}{name}.{part}"] = value
        found[f"{prefix}{name}.num_batches_tracked"] = np.array(1)
    return found


def normalised(x, kernel, norm, stride, padding, relu=True):
    """Convolution with explicit zeros around, moving statistics, ReLU: TensorFlow's own operations, nothing of ours."""
    gamma, beta, mean, variance = norm
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    x = tf.nn.conv2d(x, kernel, stride, "VALID")
    x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)
    return tf.nn.relu(x) if relu else x


def expected(picture, weights, slim):
    """The backbone by hand. TF-Slim strides in a stage's last unit, torchvision in its first; their poolings pad
    differently: on the far sides as far as needed, or by one on every side."""
    x = normalised(picture, weights[0, 0, 1][0], weights[0, 0, 1][1:], 2, 3)
    if slim:
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    else:
        padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-np.inf)
        x = tf.nn.max_pool2d(padded, 3, 2, "VALID")
    for stage, units in enumerate(UNITS, 1):
        for unit in range(1, units + 1):
            strided = (unit == units and stage < 4) if slim else (unit == 1 and stage > 1)
            stride = 2 if strided else 1
            one, two, three = (weights[stage, unit, number] for number in (1, 2, 3))
            y = normalised(x, one[0], one[1:], 1, 0)
            y = normalised(y, two[0], two[1:], stride, 1)
            y = normalised(y, three[0], three[1:], 1, 0, relu=False)
            if unit == 1:
                beside = weights[stage, unit, 0]
                x = normalised(x, beside[0], beside[1:], stride, 0, relu=False)
            else:
                x = x[:, ::stride, ::stride]
            x = tf.nn.relu(x + y)
    return x.numpy()


def assert_same(found, wanted):
    np.testing.assert_allclose(found / wanted.std(), wanted / wanted.std(), rtol=0, atol=1e-4)


def test_a_slim_checkpoint_computes_what_slim_computes(slim_file, weights, picture):
    network = ResNet(50, 64)
    network(picture)
    unused = load_slim(slim_file, network)
    assert unused == ["global_step", "resnet_v1_50/logits/weights"]
    wanted = expected(picture, weights, slim=True)
    assert_same(network(picture, training=False).numpy(), wanted)
    again = ResNet(50, 64)
    again(picture)
    assert load_slim(OLD_FORMAT.format(slim_file), again) == unused
    assert_same(again(picture, training=False).numpy(), wanted)


def test_a_state_dictionary_computes_what_torchvision_computes(tmp_path, weights, picture):
    network = ResNet(50, 64, torchvision=True)
    network(picture)
    load_torch(tmp_path, torch_arrays(weights), network)
    found = network(picture, training=False).numpy()
    assert_same(found, expected(picture, weights, slim=False))
    assert np.abs(found - expected(picture, weights, slim=True)).max() > 0.1 * found.std(), "the forms differ"


@pytest.fixture(scope="module")
def state(weights):
    """R-Net as its PyTorch version saves it."""
    generator = np.random.default_rng(2)
    found = torch_arrays(weights, "backbone.")
    for i, count in enumerate(COUNTS):
        found[f"final_layers.{i}.weight"] = generator.normal(0, 0.02, (count, 2048, 1, 1)).astype(np.float32)
        found[f"final_layers.{i}.bias"] = generator.normal(0, 1, count).astype(np.float32)
    return found


def test_the_pytorch_regressor_from_file_to_coefficients(tmp_path, weights, state):
    path = save_torch(tmp_path / "epoch_20.pth", {"net_recon": state, "opt_00": {}})
    assert is_frozen(path)
    regressor = TorchRegressor(path, CoefficientLayout(80, 64, 80))
    crop = np.random.default_rng(3).uniform(size=(1, 224, 224, 3)).astype(np.float32)
    coefficients, features = regressor(crop)
    wanted = expected(crop, weights, slim=False).mean(axis=(1, 2))
    assert_same(features.numpy(), wanted)
    heads = [
        wanted @ state[f"final_layers.{i}.weight"][:, :, 0, 0].T + state[f"final_layers.{i}.bias"]
        for i in range(len(COUNTS))
    ]
    assert_same(coefficients.numpy(), np.concatenate(heads, axis=1))
    assert regressor.feature_size == 2048


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "backbone.layer3.5.bn2.running_var",
            None,
            r"all 265 variables of a ResNet-50 \(backbone\.conv1 to backbone\.layer4\), got a file without 1 of them "
            r"\(the first: backbone\.layer3\.5\.bn2\.running_var",
        ),
        ("backbone.conv1.weight", np.zeros((64, 3, 3, 3), np.float32), r"conv1\.weight' must be \[7, 7, 3, 64\]"),
        ("backbone.bn1.bias", np.full(64, np.inf, np.float32), r"bn1\.bias' must hold finite"),
        ("final_layers.4.bias", None, r"must hold 'final_layers\.4\.bias', got a file without it"),
        ("final_layers.4.bias", np.zeros(9, np.float32), r"final_layers\.4\.bias' must be \[27\], got \[9\]"),
        ("final_layers.0.bias", np.full(80, np.nan, np.float32), r"final_layers\.0\.bias' must be finite, got NaN"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(tmp_path, state, name, value, message):
    changed = {key: array for key, array in (state | {name: value}).items() if array is not None}
    path = save_torch(tmp_path / "epoch_20.pth", {"net_recon": changed})
    with pytest.raises(UserError, match=message):
        TorchRegressor(path, CoefficientLayout(80, 64, 80))


def test_the_pytorch_regressor_belongs_to_its_face_model(tmp_path):
    with pytest.raises(UserError, match="80, 64 and 80 coefficients, got one with 60, 20 and 30"):
        TorchRegressor(tmp_path / "epoch_20.pth", CoefficientLayout(60, 20, 30))


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, slim_file):
    network = ResNet(50, 64)
    network(tf.zeros([1, 32, 32, 3]))
    before = [variable.numpy() for variable in network.weights]
    with pytest.raises(UserError, match="got no such file"):
        load_slim(tmp_path / "none.ckpt", network)
    (tmp_path / "a.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="a file of another kind"):
        load_slim(tmp_path / "a.ckpt", network)
    other = str(tmp_path / "other.ckpt")
    tf.raw_ops.SaveV2(prefix=other, tensor_names=["x"], shape_and_slices=[""], tensors=[np.zeros(3, np.float32)])
    with pytest.raises(UserError, match=r"must hold all 265 variables of resnet_v1_50, .* it holds x"):
        load_slim(other, network)
    narrow = ResNet(50, 8)
    narrow(tf.zeros([1, 32, 32, 3]))
    with pytest.raises(UserError, match=r"conv1/weights' must be \[7, 7, 3, 8\] .* got \[7, 7, 3, 64\]"):
        load_slim(slim_file, narrow)
    for now, then in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_pretraining_starts_from_the_checkpoint_it_is_told(slim_file, weights):
    network = ResNet(50, 64)
    network(tf.zeros([1, 32, 32, 3]))
    config = schema.load(None, [f"pretrain.initial={slim_file}", "regressor.depth=50", "regressor.width=64"])
    told = initialise(network, config)
    np.testing.assert_array_equal(network.stem.convolution.kernel, weights[0, 0, 1][0])
    assert "not used: 2 variables (global_step, resnet_v1_50/logits/weights)" in told
    with pytest.raises(UserError, match=r"pretrain\.initial: .* got 18 and 32"):
        initialise(network, schema.load(None, [f"pretrain.initial={slim_file}"]))
