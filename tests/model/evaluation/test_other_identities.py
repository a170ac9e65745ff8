"""Third-party identity networks: their input follows their descriptions, and wrong descriptions are refused."""

import numpy as np
import onnx
import pytest
import tensorflow as tf
import yaml
from onnx import TensorProto, helper

from lib.errors import UserError
from model.evaluation.other_identities import OtherIdentity, read_description

SIZE = 16
POINTS = np.array([[10, 12], [22, 12], [16, 18], [11, 24], [21, 24]], np.float64)


@pytest.fixture
def picture():
    return tf.constant(np.random.default_rng(0).uniform(size=(1, 32, 32, 3)), tf.float32)


def described(folder, file="net.onnx", **values):
    path = folder / "net.yaml"
    path.write_text(yaml.safe_dump({"file": file, "size": SIZE} | values))
    return path


def flattening(path, channels=3):
    """An ONNX network whose embedding is its input."""
    entry = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, SIZE, SIZE])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, channels * SIZE * SIZE])
    graph = helper.make_graph([helper.make_node("Flatten", ["image"], ["embedding"])], "flat", [entry], [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def means(picture):
    """The picture at half its size by area averaging, which antialiased resizing approximates."""
    return np.asarray(picture)[0].reshape(16, 2, 16, 2, 3).mean((1, 3))


def test_the_input_of_an_onnx_network_follows_its_description(tmp_path, picture):
    flattening(tmp_path / "net.onnx")
    smooth = tf.constant(np.indices((32, 32, 3)).sum(0)[None] / 66, tf.float32)
    network = OtherIdentity(described(tmp_path, channels="bgr", mean=[0.1, 0.2, 0.3], std=0.5))
    assert network.description.name == "net"
    fed = network(smooth, POINTS).numpy().reshape(3, SIZE, SIZE).transpose(1, 2, 0)
    expected = (means(smooth)[..., ::-1] - [0.1, 0.2, 0.3]) / 0.5
    np.testing.assert_allclose(fed[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-5)


def test_grey_is_luma_and_the_crops_centre_is_cut_out(tmp_path, picture):
    flattening(tmp_path / "net.onnx", channels=1)
    network = OtherIdentity(described(tmp_path, channels="grey", crop_fraction=0.5))
    fed = network(picture, POINTS).numpy().reshape(SIZE, SIZE)
    expected = picture[0, 8:24, 8:24].numpy() @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(fed, expected, atol=1e-5)


def test_points_are_moved_to_their_places_in_the_description(tmp_path):
    flattening(tmp_path / "net.onnx")
    wanted = (POINTS - 0.5) * 0.5 + [1, -2]  # half the size, moved; OpenCV counts from the first pixel's centre
    network = OtherIdentity(described(tmp_path, points=wanted.tolist()))
    rows, columns = np.indices((32, 32))
    ramp = np.stack([columns, rows, 0 * rows], -1)[None] / 32
    fed = network(tf.constant(ramp, tf.float32), POINTS).numpy().reshape(3, SIZE, SIZE)
    for (x, y), (column, row) in zip(POINTS - 0.5, np.rint(wanted).astype(int), strict=True):
        seen = fed[:2, row, column] * 32
        np.testing.assert_allclose(seen, np.array([x, y]) + 2 * (np.array([column, row]) - wanted.tolist()[0]
                                   - (np.array([x, y]) - (POINTS[0] - 0.5)) * 0.5), atol=0.15)  # fmt: skip


def test_a_frozen_graph_gets_its_channels_last_and_its_settings(tmp_path, picture):
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], "input")
        training = tf.compat.v1.placeholder(tf.bool, [], "phase_train")
        off, on = tf.raw_ops.Switch(data=image, pred=training)
        merged, _ = tf.raw_ops.Merge(inputs=[off, on * 0.0])
        tf.reduce_mean(merged, axis=[1, 2], name="embedding")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    path = described(
        tmp_path, file="net.pb", input="input:0", output="embedding:0", settings={"phase_train:0": False}, name="colour"
    )
    network = OtherIdentity(path)
    assert network.description.name == "colour"
    np.testing.assert_allclose(network(picture, POINTS)[0], means(picture).mean((0, 1)), atol=5e-3)


def test_a_network_of_another_size_is_refused_in_one_line(tmp_path):
    flattening(tmp_path / "net.onnx")
    with pytest.raises(UserError, match=r"net\.yaml: must describe what the network takes, got"):
        OtherIdentity(described(tmp_path, size=20))  # before any photo


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sise": 3}, "must hold file and size, and only keys among channels, crop_fraction"),
        ({"size": "big"}, "size must be a whole number from 8 on, got big"),
        ({"channels": "rgba"}, "channels must be one of rgb, bgr, grey, got rgba"),
        ({"channels": "grey", "mean": [0.5, 0.5, 0.5]}, "mean must be one number, or one per channel"),
        ({"std": 0}, "std must be above 0"),
        ({"mean": "dark"}, "could not convert string to float"),
        ({"points": [[1, 2]]}, "points must be five pairs x, y"),
        (
            {"crop_fraction": 0.5, "points": [[n, 2] for n in range(5)]},
            "crop_fraction must be absent beside points, got 0.5",
        ),
        ({"crop_fraction": 2}, "crop_fraction must be above 0 and at most 1, got 2"),
        ({"file": "net.h5"}, "file must be a .pb or .onnx file, got net.h5"),
        ({"file": "net.pb"}, "input, output must be the names of the .pb's tensors"),
    ],
)
def test_the_message_about_a_wrong_description_says_what_it_must_be(tmp_path, values, message):
    path = described(tmp_path, **values)
    with pytest.raises(UserError) as caught:
        read_description(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1, 1]\nfile: [*a, *a]", "written out, got an anchor"),
        ("[" * 5000, "nested at most"),
        ("file: 2026-13-45\nsize: 8", "a .pb or .onnx file, got 2026-13-45"),
        (f"file: a.onnx\nsize: 8\nmean: {'9' * 400}", "too large"),
    ],
    ids=["anchor", "deep", "date", "large"],
)
def test_a_hostile_description_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"net\.yaml: .*{message}"):
        read_description(path)


def test_the_message_about_a_missing_description_names_the_option(tmp_path):
    with pytest.raises(UserError, match=r"evaluate\.networks"):
        read_description(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"net\.onnx: must be an ONNX file, got none \(evaluate\.networks\)"):
        OtherIdentity(described(tmp_path))
