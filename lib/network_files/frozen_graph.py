"""Frozen TensorFlow 1 graphs (.pb) as differentiable functions, checked for unsafe operations before they run.

A .pb is a program: some operations read and write files, open connections or call Python. Only operations that compute
on tensors are allowed; a file with any other is refused before it runs.
"""

import graphlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.graph_pb2 import GraphDef  # tf.compat.v1 takes half a second to import

from lib.errors import UserError, one_line

# Pure functions of tensors, enough for any trained network. Switch and Merge select between training and inference;
# they are resolved before the graph runs.
ALLOWED = frozenset(
    [
        "Abs", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "AvgPool", "BatchMatMul", "BatchMatMulV2", "BiasAdd",
        "Cast", "Concat", "ConcatV2", "Const", "Conv2D", "DepthwiseConv2dNative", "Div", "Elu", "Equal", "Exp",
        "ExpandDims", "Fill", "Floor", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Gather", "GatherV2",
        "Greater", "GreaterEqual", "Identity", "IdentityN", "L2Loss", "LRN", "LeakyRelu", "Less", "LessEqual", "Log",
        "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul", "Max", "MaxPool", "MaxPoolV2", "Maximum", "Mean", "Merge",
        "Min", "Minimum", "MirrorPad", "Mul", "Neg", "NoOp", "NotEqual", "OnesLike", "Pack", "Pad", "PadV2",
        "Placeholder", "PlaceholderWithDefault", "Pow", "Prod", "RandomUniform", "Range", "Rank", "RealDiv",
        "Reciprocal", "Relu", "Relu6", "Reshape", "ResizeBilinear", "ResizeNearestNeighbor", "Rsqrt", "Select",
        "SelectV2", "Selu", "Shape", "Sigmoid", "Size", "Slice", "Softmax", "Softplus", "Split", "SplitV", "Sqrt",
        "Square", "SquaredDifference", "Squeeze", "StopGradient", "StridedSlice", "Sub", "Sum", "Switch", "Tanh",
        "Tile", "Transpose", "Unpack", "ZerosLike",
    ]
)  # fmt: skip
# Weights of at least this many bytes are passed to the graph as inputs; constants in the graph would be copied.
LARGE = 1024
MAX_ELEMENTS = 2**28  # maximum size of all constants together; a protobuf message is limited to 2 GiB


class FrozenGraph:
    """A frozen graph as a function from tensors to tensors.

    Args:
      path: the .pb, a serialised GraphDef.
      inputs: names of the input tensors, e.g. "input:0", in the order of the call's arguments.
      outputs: names of the output tensors.
      settings: values of boolean inputs, e.g. {"phase_train:0": False}; inactive branches are removed.

    Raises:
      UserError: the file is missing or not a graph, holds an operation that is not allowed, or lacks a tensor.
    """

    def __init__(
        self, path: Path, inputs: Sequence[str], outputs: Sequence[str], settings: Mapping[str, bool] | None = None
    ):
        self.path = Path(path)
        graph = read_graph(self.path)
        names = {node.name for node in graph.node}
        missing = [name for name in (*inputs, *outputs) if _node(name) not in names]
        if missing:
            raise UserError(f"{self.path}: must hold the tensors {', '.join((*inputs, *outputs))}; missing: {missing}")
        try:
            live, outputs = resolve_switches(graph, outputs, settings or {}, self.path)
            self._function = _function(live, inputs, outputs)
        except UserError:
            raise
        except (ValueError, LookupError, TypeError, tf.errors.OpError) as error:
            reason = one_line(error)
            raise UserError(f"{self.path}: must be a graph that TensorFlow can import ({reason})") from None

    def __call__(self, *tensors) -> list[tf.Tensor]:
        """Computes the outputs for the inputs; differentiable."""
        return self._function(*tensors)


def read_graph(path: Path) -> GraphDef:
    """Parses a .pb without running it and checks that all of its operations are allowed.

    Raises:
      UserError: the file is missing or not a graph, or holds an operation outside ALLOWED, which the message names.
    """
    if not path.is_file():
        raise UserError(f"{path}: must be a frozen graph, got no such file")
    graph = GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise UserError(f"{path}: must be a frozen TensorFlow graph, got a file of another kind ({error})") from None
    if not graph.node:
        raise UserError(f"{path}: must be a frozen TensorFlow graph, got one without any operation")
    functions = [node for function in graph.library.function for node in function.node_def]
    refused = {node.op: node.name for node in (*functions, *graph.node) if node.op not in ALLOWED}
    if refused:
        found = ", ".join(f"{op} (as '{name}')" for op, name in sorted(refused.items()))
        raise UserError(
            f"{path}: must hold operations on tensors only, got {found}; such a graph could run arbitrary code "
            "and is not run (a training graph must be frozen first)"
        )
    _check_constants((*functions, *graph.node), path)
    return graph


def _function(graph: GraphDef, inputs: Sequence[str], outputs: Sequence[str]) -> Callable[..., list[tf.Tensor]]:
    """A graph without switches as a function; raises what TensorFlow does for a graph that it cannot import."""
    weights = {
        f"{node.name}:0": tf.constant(tf.make_ndarray(node.attr["value"].tensor))
        for node in graph.node
        if node.op == "Const" and node.attr["value"].tensor.ByteSize() >= LARGE
    }

    def build():
        handed = {name: tf.identity(weight) for name, weight in weights.items()}
        tf.graph_util.import_graph_def(graph, input_map=handed, name="")

    wrapped = tf.compat.v1.wrap_function(build, [])
    element = wrapped.graph.as_graph_element
    return wrapped.prune([element(name) for name in inputs], [element(name) for name in outputs])


def _check_constants(nodes: Sequence, path: Path) -> None:
    """Limits the size of constants: a repeated number takes a few bytes in the file, but any amount of memory."""
    total = 0
    for node in nodes:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        sides = [side.size for side in tensor.tensor_shape.dim]
        wrong = tensor.tensor_shape.unknown_rank or min(sides, default=1) < 0
        total += 0 if wrong else math.prod(sides)
        if wrong or total > MAX_ELEMENTS:
            raise UserError(
                f"{path}: constants must have up to {MAX_ELEMENTS:,} numbers together, got {sides} of '{node.name}'"
            )


def resolve_switches(
    graph: GraphDef, outputs: Sequence[str], settings: Mapping[str, bool], path: Path
) -> tuple[GraphDef, list[str]]:
    """Sets the switches of a graph and keeps only the nodes that the outputs need.

    A Switch passes its input to its first output (false) or second output (true); a Merge passes on the input that
    arrives.

    Args:
      graph: may hold Switch and Merge.
      outputs: tensors "name:index".
      settings: values of boolean tensors.
      path: for error messages.

    Returns:
      A graph without Switch, Merge, settings and control dependencies (pure functions need none), and the names of its
      outputs.

    Raises:
      UserError: a switch depends on a tensor without a known value.
    """
    nodes = {node.name: node for node in graph.node}
    known = {_tensor(name): value for name, value in settings.items()}
    arrives: dict[str, bool] = {}
    stands: dict[str, str | None] = {}  # Switch or Merge output -> the tensor that replaces it

    def source(tensor: str) -> str | None:
        return stands[tensor] if tensor in stands else tensor if arrives[_node(tensor)] else None

    for name in _ancestors(nodes, outputs, path):
        node = nodes[name]
        given = [_tensor(text) for text in node.input if not text.startswith("^")]
        if node.op == "Switch":
            value = _decide(nodes, known, given[1], path)
            stands[f"{name}:0"], stands[f"{name}:1"] = (None, source(given[0])) if value else (source(given[0]), None)
        elif node.op == "Merge":
            stands[f"{name}:0"] = next((found for text in given if (found := source(text)) is not None), None)
        else:
            arrives[name] = all(source(text) is not None for text in given)
    results = [source(_tensor(name)) for name in outputs]
    if dead := [name for name, tensor in zip(outputs, results, strict=True) if tensor is None]:
        raise UserError(f"{path}: {', '.join(dead)} must have a value with {dict(settings)}, got none")
    tensors = [tensor for tensor in results if tensor is not None]
    live = GraphDef(versions=graph.versions)
    needed, waiting = set(), [_node(tensor) for tensor in tensors]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        node = live.node.add()
        node.CopyFrom(nodes[name])
        node.device = ""
        arriving = [source(_tensor(text)) for text in nodes[name].input if not text.startswith("^")]
        sources = [tensor for tensor in arriving if tensor is not None]
        assert len(sources) == len(arriving), "a value arrives at a node only if all its inputs have one"
        del node.input[:]
        node.input.extend(sources)
        waiting += [_node(tensor) for tensor in sources]
    return live, tensors


def _ancestors(nodes: Mapping, outputs: Sequence[str], path: Path) -> list[str]:
    """Names of the nodes that the outputs depend on, in topological order."""
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    seen, waiting = set(), [_node(name) for name in outputs]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in nodes:
            raise UserError(f"{path}: must hold every node that another node needs, got no '{name}'")
        sources = [_node(text) for text in nodes[name].input if not text.startswith("^")]
        sorter.add(name, *sources)
        waiting += sources
    try:
        return list(sorter.static_order())
    except graphlib.CycleError as error:
        raise UserError(f"{path}: must be a graph without loops, got one through {error.args[1][0]}") from None


def _decide(nodes: Mapping, known: Mapping[str, bool], tensor: str, path: Path) -> bool:
    """The value of a Switch's predicate."""
    turned = False
    while tensor not in known:
        node = nodes[_node(tensor)]
        if node.op == "Const":
            return bool(tf.make_ndarray(node.attr["value"].tensor)) ^ turned
        if node.op not in ("Identity", "LogicalNot", "PlaceholderWithDefault", "Switch"):
            raise UserError(
                f"{path}: its switches must depend on {', '.join(known) or 'constants'}, got one on '{node.name}' "
                f"({node.op})"
            )
        turned ^= node.op == "LogicalNot"
        tensor = _tensor(node.input[0])
    return known[tensor] ^ turned


def _node(tensor: str) -> str:
    """ "name:0" -> "name"."""
    return tensor.partition(":")[0]


def _tensor(name: str) -> str:
    """ "name" -> "name:0"."""
    return name if ":" in name else f"{name}:0"
