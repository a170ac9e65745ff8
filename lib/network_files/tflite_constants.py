"""Constants stored in TensorFlow Lite files."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

_TYPES = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}


def constants(network: bytes, names: Sequence[str]) -> list[np.ndarray]:
    """Values of constants of a network, float32, in the order of their names.

    Args:
      network: content of the file; only the first subgraph is used.
      names: names of tensors of floating-point numbers that are stored in the file.

    Raises:
      ValueError: a tensor does not exist, or holds no such numbers.
    """
    model = tflite.ModelT.InitFromPackedBuf(network)
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    values = []
    for name in names:
        tensor = tensors.get(name)
        data = None if tensor is None else model.buffers[tensor.buffer].data
        if tensor is None or data is None or tensor.type not in _TYPES:
            raise ValueError(f"names must be constants of the network, got {name!r}")
        flat = np.frombuffer(np.asarray(data, np.uint8).tobytes(), _TYPES[tensor.type])
        values.append(flat.reshape(tensor.shape).astype(np.float32))
    return values
