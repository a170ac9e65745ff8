"""Loading of ONNX networks with onnxruntime, an optional dependency."""

from pathlib import Path

from lib.errors import UserError, one_line
from lib.network_files.onnx_files import check_onnx


def open_network(path: Path, option: str, threads: int = 1):
    """Opens an onnxruntime session, on the CPU, for a network with one input.

    Args:
      path: the ONNX file.
      option: name of the option that gave the path, for error messages.
      threads: number of threads the network uses.

    Raises:
      UserError: onnxruntime is not installed, the file is not a network with one four-dimensional input, or its
        weights are in other files.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: must be an ONNX file, got none ({option})")
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"{option}: needs the package onnxruntime, which is not installed (pip install onnxruntime)"
        ) from None
    check_onnx(Path(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise UserError(f"{path}: must be an ONNX network, got: {one_line(error)}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(str(entry.shape) for entry in inputs)
        raise UserError(f"{path}: must take one input [1, 3, size, size], got {shapes}")
    return session
