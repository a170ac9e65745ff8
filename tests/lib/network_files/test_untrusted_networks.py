"""Networks made to do harm: refused in one line before anything in them runs."""

import tracemalloc

import pytest
import tensorflow as tf

import main
from lib.errors import UserError
from lib.face_mask.parsing import FaceParser
from lib.network_files.onnx_files import check_onnx
from tests.support.programs.one_line import is_empty_but_for, one_line


def test_a_network_that_reads_other_files_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from tests.support.published_files.parsing_network import MEAN, STD, write_network

    path = write_network(tmp_path / "p.onnx")
    FaceParser(path, 16, MEAN, STD, (1,))
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="reads other files"):
        FaceParser(path, 16, MEAN, STD, (1,))
    path.write_bytes(b"\xff" * 50)
    with pytest.raises(UserError, match="must be an ONNX network"):
        FaceParser(path, 16, MEAN, STD, (1,))


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in a message of protobuf."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_the_weights_of_a_network_are_not_copied_to_be_checked(tmp_path):
    weights = bytes(4_000_000)
    (tmp_path / "a.onnx").write_bytes(field(7, field(5, field(9, weights))))
    tracemalloc.start()
    try:
        check_onnx(tmp_path / "a.onnx")
        assert tracemalloc.get_traced_memory()[1] < 1.1 * len(weights)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"\x3a\x05ab", b"\x3b", b"\x02\x00", b"\x08" + b"\xff" * 11, b"\x08\xff", b"\x09abc", field(7, b"\x2a\x01")],
)
def test_what_is_no_message_is_no_network(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.onnx: must be an ONNX network, got a file of another kind"):
        check_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("elsewhere", [field(13, b"location"), b"\x70\x01"])
@pytest.mark.parametrize(
    "around",
    [
        lambda tensor: field(7, field(5, tensor)),
        lambda tensor: field(7, b"\x08\x01\x15abcd\x19abcdefgh" + field(1, field(5, field(6, field(5, tensor))))),
    ],
)
def test_tensors_at_any_depth_are_checked(tmp_path, around, elsewhere):
    (tmp_path / "a.onnx").write_bytes(around(elsewhere))
    with pytest.raises(UserError, match="reads other files"):
        check_onnx(tmp_path / "a.onnx")


def graph_file(path, build):
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        tf.identity(build(x), "coeff")
        tf.identity(x, "resnet_v1_50/pool5")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def writes(target):
    def build(x):
        with tf.control_dependencies([tf.io.write_file(str(target), "owned")]):
            return tf.identity(x)

    return build


@pytest.mark.parametrize(
    ("build", "operation"),
    [
        (writes, "WriteFile"),
        (lambda target: lambda x: tf.io.decode_raw(tf.io.read_file(str(target)), tf.uint8), "ReadFile"),
        (lambda _: lambda x: tf.compat.v1.py_func(lambda v: v, [x], tf.float32), "PyFunc"),
        (lambda target: lambda x: tf.function(writes(target))(x), "WriteFile"),
        (lambda _: lambda x: tf.while_loop(lambda v: True, lambda v: v, [x])[0], "Enter|While"),
        (lambda _: lambda x: tf.raw_ops.MatchingFiles(pattern="/*"), "MatchingFiles"),
    ],
    ids=["writes", "reads", "python", "in a function", "endless", "lists"],
)
def test_a_graph_that_is_more_than_arithmetic_is_refused(tmp_path, build, operation, capsys, monkeypatch):
    target = tmp_path / "written"
    path = graph_file(tmp_path / "r.pb", build(target))
    monkeypatch.setattr("model.pipeline.load_face_model", lambda config: type("Model", (), {"layout": None}))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    arguments = ["--mode", "test", "--input", tmp_path / "photos", "--output", tmp_path / "out", "--root_dir", tmp_path]
    line = one_line(main.main, [*arguments, f"regressor.weights={path}"], capsys)
    assert any(name in line for name in operation.split("|"))
    assert "is not run" in line
    assert is_empty_but_for(tmp_path, path, tmp_path / "photos" / "a.png")


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path):
    from lib.network_files.frozen_graph import read_graph

    path = graph_file(tmp_path / "r.pb", lambda x: tf.constant(0.0) + x)
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    constant = next(node for node in graph.node if node.op == "Const")
    constant.attr["value"].tensor.tensor_shape.dim.add().size = 2**40
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(UserError, match=r"up to 268,435,456 numbers together, got \[1099511627776\]"):
        read_graph(path)
