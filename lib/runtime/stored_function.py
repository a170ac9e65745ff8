"""Functions of tensors whose traced graphs are kept on disk: tracing takes seconds, reading a graph a tenth of one."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

# Both from where tf.compat.v1 has them, which itself takes half a second and 60 MB to import.
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.python.eager.wrap_function import wrap_function

from lib.errors import DiskFull
from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile, report_remade
from lib.files.own_code import code_version

# Operations of stored graphs: they compute and do nothing else. A file with another one is not run, and not written.
ALLOWED = frozenset(
    [
        "Abs", "AddN", "AddV2", "All", "Any", "BatchMatMulV2", "BroadcastGradientArgs", "BroadcastTo", "Cast",
        "ClipByValue", "ConcatOffset", "ConcatV2", "Const", "Cos", "Cross", "DivNoNan", "Einsum", "Equal", "Exp",
        "ExpandDims", "Fill", "Floor", "FloorDiv", "FloorMod", "GatherNd", "GatherV2", "Greater", "GreaterEqual",
        "Identity", "IdentityN", "InvertPermutation", "Less", "LessEqual", "Log", "LogicalAnd", "LogicalNot",
        "LogicalOr", "MatMul", "Max", "Maximum", "Mean", "Min", "Minimum", "Mul", "Neg", "NoOp", "NotEqual", "OnesLike",
        "Pack", "Pad", "Placeholder", "Pow", "Prod", "Range", "RealDiv", "Reciprocal", "Reshape", "Rsqrt", "RsqrtGrad",
        "SelectV2", "Shape", "ShapeN", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Split", "Sqrt", "SqrtGrad", "Square",
        "SquaredDifference", "Squeeze", "StatelessWhile", "StopGradient", "StridedSlice", "StridedSliceGrad", "Sub",
        "Sum", "Tanh", "TensorScatterUpdate", "Tile", "Transpose", "Unpack", "UnsortedSegmentSum", "Where", "ZerosLike",
    ]
)  # fmt: skip
# Tensors of up to this many entries may be copied into a graph; larger ones are passed to it.
_COPIED = 128


class StoredFunction:
    """A function of tensors, of `ALLOWED` operations, that is traced once for each structure of arguments.

    The file of a graph is remade after any change to the program's code, to TensorFlow or to `key`. Where it cannot be
    written, each process traces the function.

    Args:
      name: name of the function, part of the files' names.
      function: takes tensors and nested structures of them and returns a list of tensors; without AutoGraph.
      constants: name -> tensor; the function uses no other tensors than these and its arguments.
      key: everything else that determines its results, as JSON values.
      folder: folder of the files.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., list[tf.Tensor]],
        constants: Mapping[str, tf.Tensor],
        key: Mapping[str, Any],
        folder: Path,
    ):
        self._name, self._function, self._constants, self._folder = name, function, dict(constants), folder
        copied = {name: value.numpy().tolist() for name, value in constants.items() if tf.size(value) <= _COPIED}
        passed = {name: value.shape.as_list() for name, value in constants.items() if name not in copied}
        self._version = _digest(
            {"code": code_version(), "tensorflow": tf.__version__, "key": key, "copied": copied, "passed": passed}
        )
        self._made: dict[str, Callable[..., list[tf.Tensor]]] = {}
        self._making = threading.Lock()

    def is_stored(self, *arguments: Any) -> bool:
        """True if an earlier start has left a graph for arguments of this structure, though perhaps an outdated one."""
        return self._path(_signature(arguments)).is_file()

    def __call__(self, *arguments: Any) -> list[tf.Tensor]:
        signature = _signature(arguments)
        with self._making:
            if signature not in self._made:
                self._made[signature] = self._make(signature, arguments)
        return self._made[signature](*tf.nest.flatten(arguments))

    def _make(self, signature: str, arguments: Sequence) -> Callable[..., list[tf.Tensor]]:
        path = self._path(signature)
        header = {"version": self._version, "signature": signature}
        if path.is_file():
            try:
                found, arrays = headed_npz.read(path)
                if found.get("version") == self._version and found.get("signature") == signature:
                    graph = arrays["graph"].tobytes()
                    if operations(graph) <= ALLOWED:
                        return self._imported(graph, found, arguments)
                    raise DamagedFile("a graph with other operations than the program's")
            except (DamagedFile, KeyError, OSError) as error:
                report_remade(path, error)
        graph, names = self._traced(arguments)
        if operations(graph) <= ALLOWED:
            with contextlib.suppress(OSError, DiskFull):  # the next start traces again
                path.parent.mkdir(parents=True, exist_ok=True)
                headed_npz.write(path, {"graph": np.frombuffer(graph, np.uint8)}, header | names, compress=True)
        return self._imported(graph, names, arguments)

    def _path(self, signature: str) -> Path:
        return self._folder / f"graph_{self._name}_{_digest(signature)}.npz"

    def _traced(self, arguments: Sequence) -> tuple[bytes, dict[str, list[str]]]:
        """The serialised graph, and the names of its inputs, of the constants among them, and of its outputs."""
        concrete = tf.function(self._function, autograph=False).get_concrete_function(*arguments)
        names = {id(tensor): name for name, tensor in self._constants.items()}
        captured = [names.get(id(tensor)) for tensor in concrete.captured_inputs]
        if None in captured:
            stray = concrete.captured_inputs[captured.index(None)]
            raise ValueError(f"function must use only its arguments and constants, got another tensor {stray.shape}")
        graph = concrete.graph.as_graph_def()
        _merge_equal_nodes(graph)
        return graph.SerializeToString(), {
            "inputs": [tensor.name for tensor in concrete.inputs],
            "constants": captured,
            "outputs": [tensor.name for tensor in concrete.outputs],
        }

    def _imported(
        self, serialised: bytes, names: Mapping[str, list[str]], arguments: Sequence
    ) -> Callable[..., list[tf.Tensor]]:
        """The function of a graph.

        Raises:
          DamagedFile: the graph cannot be used.
          KeyError: it needs an unknown constant.
        """
        inputs, outputs = names["inputs"], names["outputs"]
        try:
            constants = [self._constants[name] for name in names["constants"]]
            graph = _parsed(serialised)

            def run(*values: tf.Tensor) -> list[tf.Tensor]:
                given = dict(zip(inputs, values, strict=True))
                return tf.graph_util.import_graph_def(graph, input_map=given, return_elements=outputs, name="stored")

            signature = [tf.TensorSpec(x.shape, x.dtype) for x in (*tf.nest.flatten(arguments), *constants)]
            imported = wrap_function(run, signature)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise DamagedFile(f"a graph that cannot be used ({error})") from error
        return lambda *flat: imported(*flat, *constants)


def _merge_equal_nodes(graph: GraphDef) -> None:
    """Removes nodes of the functions in a graph, such as the body of a loop, that compute the same as an earlier one.

    They are half of a gradient's nodes, whose number determines the time before a graph's first run. The functions get
    new names, because in this process the traced functions already use theirs.
    """
    for function in graph.library.function:
        kept = _merge_equal(function.node_def)
        for output, tensor in list(function.ret.items()):  # assigning reorders the map
            function.ret[output] = _renamed(tensor, kept)
    suffix = hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()[:16]
    for function in graph.library.function:
        function.signature.name += f"_{suffix}"
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        for attribute in node.attr.values():
            if attribute.HasField("func"):
                attribute.func.name += f"_{suffix}"


def _merge_equal(nodes: MutableSequence) -> dict[str, str]:
    """Removes the repetitions from the nodes of one function; returns their names -> those of the nodes that remain."""
    kept: dict[str, str] = {}
    first: dict[bytes, str] = {}
    remaining = []
    for node in nodes:
        for number, tensor in enumerate(node.input):
            node.input[number] = _renamed(tensor, kept)
        content = type(node)()
        content.CopyFrom(node)
        content.ClearField("name")
        content.ClearField("experimental_debug_info")
        key = content.SerializeToString(deterministic=True)
        if key in first:
            kept[node.name] = first[key]
        else:
            first[key] = node.name
            remaining.append(node)
    # A node may precede those whose output it takes.
    for node in remaining:
        for number, tensor in enumerate(node.input):
            node.input[number] = _renamed(tensor, kept)
    copies = [type(node).FromString(node.SerializeToString()) for node in remaining]
    del nodes[:]
    nodes.extend(copies)
    return kept


def _renamed(tensor: str, names: Mapping[str, str]) -> str:
    """The name of a tensor, "node:0", or of a control input, "^node", after nodes were renamed."""
    mark, name = ("^", tensor[1:]) if tensor.startswith("^") else ("", tensor)
    node, colon, output = name.partition(":")
    return f"{mark}{names.get(node, node)}{colon}{output}"


def tensors_of(prefix: str, owner: object) -> dict[str, tf.Tensor]:
    """The tensors among the attributes of an object, under "prefix.attribute"."""
    return {f"{prefix}.{name}": value for name, value in vars(owner).items() if tf.is_tensor(value)}


def operations(serialised: bytes) -> set[str]:
    """The kinds of operations in a serialised graph and its functions.

    Raises:
      DamagedFile: it is not a graph.
    """
    graph = _parsed(serialised)
    return {node.op for node in (*graph.node, *(n for function in graph.library.function for n in function.node_def))}


def _parsed(serialised: bytes) -> GraphDef:
    graph = GraphDef()
    try:
        graph.ParseFromString(serialised)
    except DecodeError as error:
        raise DamagedFile("no graph") from error
    return graph


def _signature(arguments: Sequence) -> str:
    return str(tf.nest.map_structure(lambda x: (x.dtype.name, x.shape.as_list()), tuple(arguments)))


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
