"""A tiny face-parsing network as an ONNX file."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.25, 0.125)


def write_network(path, size=16, classes=False):
    """Class scores are the channels themselves: red 0, green 1, blue 2 (or their argmax, with `classes`)."""
    channels = numpy_helper.from_array(np.diag(STD).astype(np.float32).reshape(3, 3, 1, 1), "weights")
    offset = numpy_helper.from_array(np.array(MEAN, np.float32), "mean")
    nodes = [helper.make_node("Conv", ["image", "weights", "mean"], ["scores"])]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, size, size])
    if classes:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["classes"], axis=1, keepdims=0))
        output = helper.make_tensor_value_info("classes", TensorProto.INT64, [1, size, size])
    entry = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])
    graph = helper.make_graph(nodes, "colours", [entry], [output], [channels, offset])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path
