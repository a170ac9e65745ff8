"""Frozen TensorFlow 1 graphs made of functions, under the tensor names of published ones."""

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def frozen(path, function, size, input_name, outputs):
    """Freezes a function of a picture [B, size, size, 3] into a .pb whose tensors have these names."""
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec([None, size, size, 3], tf.float32))
    definition = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    results = [node.name for node in definition.node if node.op == "Identity" and node.name.startswith("Identity")]
    inputs = [node.name for node in definition.node if node.op == "Placeholder"]
    graph = tf.Graph()
    with graph.as_default():
        picture = tf.compat.v1.placeholder(tf.float32, [None, size, size, 3], input_name)
        found = tf.graph_util.import_graph_def(
            definition, {inputs[0]: picture}, [f"{name}:0" for name in sorted(results)], name="net"
        )
        for tensor, name in zip(found, outputs, strict=True):
            tf.identity(tensor, name)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path
