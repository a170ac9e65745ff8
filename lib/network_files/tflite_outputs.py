"""TensorFlow Lite networks that output some of their inner tensors, and stop there.

LiteRT can keep all inner tensors of a network, but only without its fast kernels (experimental_preserve_all_tensors
leaves tensors inside a delegated part empty). A copy of the network whose outputs are the wanted tensors runs at full
speed, and without the operators after them.
"""

from collections.abc import Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as tflite


def with_outputs(network: bytes, names: Sequence[str]) -> bytes:
    """Copies a .tflite network, with the named tensors as its only outputs.

    Args:
      network: content of the file; only the first subgraph is used.
      names: names of tensors, in the order of the new outputs.

    Raises:
      ValueError: a tensor does not exist.
    """
    model = tflite.ModelT.InitFromPackedBuf(network)
    graph = model.subgraphs[0]
    numbers = {tensor.name.decode(): number for number, tensor in enumerate(graph.tensors)}
    if missing := sorted(set(names) - numbers.keys()):
        raise ValueError(f"names must be tensors of the network, got {missing[0]!r}")
    graph.outputs = [numbers[name] for name in names]
    last = max(place for place, op in enumerate(graph.operators) if set(op.outputs) & set(graph.outputs))
    graph.operators = graph.operators[: last + 1]
    model.signatureDefs = []  # they name the former outputs
    builder = flatbuffers.Builder(2 * len(network))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
