"""TensorFlow Lite networks run with LiteRT: small trained networks included in installed packages."""

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lib.errors import UserError, one_line
from lib.network_files.tflite_outputs import with_outputs
from lib.runtime.quiet_tensorflow import without_notes


class TfliteNetwork:
    """A network with one input of fixed size, on the CPU; threads may share it, one runs at a time.

    Args:
      path: the .tflite file.
      threads: number of threads the network uses.
      outputs: names of inner tensors to output instead of the network's own outputs.

    Attributes:
      input_shape: shape of the input, e.g. (1, 192, 192, 3).

    Raises:
      UserError: the file is missing or is not a network with one input and these tensors.
    """

    def __init__(self, path: Path, threads: int = 1, outputs: Sequence[str] = ()):
        if not Path(path).is_file():
            raise UserError(f"{path}: must be a .tflite network, got no file")
        try:
            with without_notes():
                content = Path(path).read_bytes()
                if outputs:
                    content = with_outputs(content, outputs)
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path}: must be a .tflite network, got: {one_line(error)}") from error
        self._lock = threading.Lock()  # input and outputs lie in the interpreter
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise UserError(f"{path}: must take one input, got {len(inputs)}")
        self._input = inputs[0]["index"]
        self.input_shape = tuple(int(side) for side in inputs[0]["shape"])
        self._outputs = {entry["name"]: entry["index"] for entry in self._interpreter.get_output_details()}

    def __call__(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network on an input of `input_shape`; returns name -> output."""
        content = np.ascontiguousarray(values, np.float32)
        with self._lock:
            self._interpreter.set_tensor(self._input, content)
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def packaged_network(package: str, name: str) -> Path:
    """Path of the file `name` in an installed package; does not import the package.

    Raises:
      UserError: the package is not installed.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise UserError(f"package '{package}' must be installed (pip install -r requirements.txt), got none")
    return Path(found.origin).parent / name
