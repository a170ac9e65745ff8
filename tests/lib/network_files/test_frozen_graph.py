"""Frozen TensorFlow 1 graphs: made here from this program's own networks, under the published names."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef

from configs import schema
from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.network_files import frozen_graph
from lib.network_files.frozen_graph import FrozenGraph, read_graph
from model.networks.identity import IdentityNetwork
from model.networks.regressor import PUBLISHED, Regressor
from model.pipeline import load_identity, load_regressor
from model.pretraining.loop import pretrain
from model.weights import published_networks
from model.weights.published_networks import FrozenIdentity, FrozenRegressor
from tests.support.helpers import assert_close
from tests.support.published_files.frozen_graphs import frozen

SIZE = 32
LAYOUT = CoefficientLayout(5, 4, 6)


def randomised(network):
    """Heads start at zero and batch statistics at their defaults: both would hide mistakes."""
    generator = np.random.default_rng(0)
    for variable in network.weights:
        values = 0.2 * generator.normal(size=variable.shape)
        positive = "variance" in variable.name or "gamma" in variable.name
        variable.assign(np.exp(values) if positive else values)
    return network


def test_the_regressor_gives_what_the_network_it_was_frozen_from_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(published_networks, "REGRESSOR_SIZE", SIZE)
    network = randomised(Regressor(LAYOUT, 18, 4, SIZE, PUBLISHED))

    def published(picture):  # BGR in 0..255, two axes of one pixel
        coefficients, features = network(picture[..., ::-1] / 255.0)
        return coefficients, features[:, None, None, :]

    path = frozen(tmp_path / "r.pb", published, SIZE, "input_imgs", ["coeff", "resnet_v1_50/pool5"])
    regressor = FrozenRegressor(path, LAYOUT)
    crops = tf.random.stateless_uniform([3, 48, 40, 3], (1, 2))
    for ours, theirs in zip(regressor(crops), network(crops), strict=True):
        assert_close(ours, theirs, 1e-4)
    assert regressor.feature_size == network.feature_size
    with pytest.raises(UserError, match=r"must give the 50 coefficients of the face model, got 48"):
        FrozenRegressor(path, CoefficientLayout(7, 4, 6))


def test_gradients_flow_through_the_identity_network_to_the_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(published_networks, "IDENTITY_SIZE", SIZE)
    network = randomised(IdentityNetwork(8, 18, 4, SIZE, 1.0))

    def published(picture):
        return network((picture * 128.0 + 127.5) / 255.0)[:, None, None, :]

    path = frozen(tmp_path / "i.pb", published, SIZE, "input", ["InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool"])
    identity = FrozenIdentity(path)
    assert identity.embedding_size == 8
    picture = tf.random.stateless_uniform([2, SIZE, SIZE, 3], (3, 4))
    weights = tf.random.stateless_normal([2, 8], (5, 6))

    @tf.function
    def slope(run):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            result = tf.reduce_sum(run(picture) * weights)
        return tape.gradient(result, picture)

    assert_close(identity(picture), network(picture), 1e-4)
    assert_close(slope(identity), slope(network), 1e-4)
    assert float(tf.reduce_max(tf.abs(slope(network)))) > 0


def switched(path):
    """x * 2 while training, else x + a weight large enough to be handed over; chosen as TensorFlow 1's cond does."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 300], "x")
        training = tf.compat.v1.placeholder(tf.bool, [], "phase_train")
        choice = tf.identity(training, "cond/pred_id")
        off, on = tf.raw_ops.Switch(data=x, pred=choice)
        weight = tf.constant(np.arange(300, dtype=np.float32), name="weight")
        kept, _ = tf.raw_ops.Switch(data=weight, pred=choice)
        merged = tf.raw_ops.Merge(inputs=[off + kept, on * 2.0])
        tf.identity(merged[0], "y")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.mark.parametrize("training", [False, True])
def test_switches_are_resolved(tmp_path, training):
    run = FrozenGraph(switched(tmp_path / "s.pb"), ["x:0"], ["y:0"], {"phase_train:0": training})
    x = tf.random.stateless_uniform([2, 300], (1, 1))
    expected = x * 2.0 if training else x + np.arange(300, dtype=np.float32)
    assert_close(run(x)[0], expected, 1e-6)


def test_switches_that_depend_on_something_else_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"switches must depend on constants, got one on 'phase_train' \(Placeholder\)"):
        FrozenGraph(switched(tmp_path / "s.pb"), ["x:0"], ["y:0"])


def malicious(path, target):
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        write = tf.io.write_file(str(target), "owned")
        called = tf.compat.v1.py_func(lambda value: value, [x], tf.float32, name="called")
        with tf.control_dependencies([write]):
            tf.identity(called, "y")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_a_graph_that_touches_files_or_python_is_refused_by_name_and_does_nothing(tmp_path):
    target = tmp_path / "written"
    path = malicious(tmp_path / "m.pb", target)
    with pytest.raises(UserError, match=r"PyFunc \(as 'called'\), WriteFile.*is not run"):
        FrozenGraph(path, ["x:0"], ["y:0"])
    assert not target.exists()


def test_operations_inside_functions_are_looked_at_too(tmp_path):
    @tf.function
    def inner(x):
        tf.io.write_file(str(tmp_path / "written"), "owned")
        return x

    graph = tf.Graph()
    with graph.as_default():
        tf.identity(inner(tf.compat.v1.placeholder(tf.float32, [2], "x")), "y")
    path = tmp_path / "f.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(UserError, match="WriteFile"):
        read_graph(path)


@pytest.mark.parametrize("content", [b"\xff\xff not a graph", b""])
def test_other_files_are_no_graphs(tmp_path, content):
    path = tmp_path / "x.pb"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pb: must be a frozen TensorFlow graph"):
        read_graph(path)
    with pytest.raises(UserError, match="no such file"):
        read_graph(tmp_path / "none.pb")


def test_missing_tensors_are_named(tmp_path):
    with pytest.raises(UserError, match=r"missing: \['z:0'\]"):
        FrozenGraph(switched(tmp_path / "s.pb"), ["x:0"], ["z:0"])


def test_a_configuration_that_names_a_graph_uses_it_and_cannot_train_it(tmp_path, monkeypatch):
    monkeypatch.setattr(published_networks, "REGRESSOR_SIZE", SIZE)
    network = randomised(Regressor(LAYOUT, 18, 4, SIZE, PUBLISHED))
    path = frozen(tmp_path / "r.pb", network, SIZE, "input_imgs", ["coeff", "resnet_v1_50/pool5"])
    options = {"regressor.weights": str(path), "identity.weights": str(tmp_path / "none.pb"), "regressor.mirror": False}
    config = schema.load(overrides=options)
    face_model = SimpleNamespace(layout=LAYOUT)
    assert load_regressor(config, face_model).feature_size == network.feature_size
    with pytest.raises(UserError, match=r"none\.pb: must be a frozen graph, got no such file"):
        load_identity(config, face_model)
    with pytest.raises(UserError, match=r"regressor\.weights: must be an \.npz to be written"):
        pretrain(config)


def rewired(path, change):
    """The switched graph with a change of the node that `change` names, by its function."""
    graph = GraphDef.FromString(switched(path).read_bytes())
    name, edit = change
    edit(next(node for node in graph.node if node.name == name))
    path.write_bytes(graph.SerializeToString())
    return path


def without_second_input(node):
    del node.input[1:]


def of_another_output(node):
    node.input[0] = "Switch:2"


def after_a_control_edge(node):
    node.input[0] = "^x"


def of_a_wrong_size(node):
    node.attr["value"].tensor.tensor_content = bytes(1204)


@pytest.mark.parametrize(
    "change",
    [
        ("Switch", without_second_input),
        ("y", of_another_output),
        ("cond/pred_id", after_a_control_edge),
        ("weight", of_a_wrong_size),
    ],
    ids=["inputs", "output", "edge", "constant"],
)
def test_damaged_graphs_are_refused_in_one_line(tmp_path, change):
    with pytest.raises(UserError, match=r"s\.pb: must be a graph that TensorFlow can import") as caught:
        FrozenGraph(rewired(tmp_path / "s.pb", change), ["x:0"], ["y:0"], {"phase_train:0": False})
    assert "\n" not in str(caught.value)


def test_constants_that_would_fill_the_memory_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen_graph, "MAX_ELEMENTS", 400)
    assert read_graph(switched(tmp_path / "s.pb")).node
    graph = GraphDef.FromString((tmp_path / "s.pb").read_bytes())
    twin = graph.node.add()
    twin.CopyFrom(next(node for node in graph.node if node.name == "weight"))
    twin.name = "twin"
    (tmp_path / "s.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(UserError, match=r"up to 400 numbers together, got \[300\] of 'twin'"):
        read_graph(tmp_path / "s.pb")
