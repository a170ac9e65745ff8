"""Face masks from a face-parsing network that the user supplies, an ONNX or TensorFlow Lite file."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError, one_line
from lib.network_files.onnx_network import open_network
from lib.network_files.tflite_network import TfliteNetwork

OPTION = "prepare.parser"


class FaceParser:
    """Computes the alpha of aligned crops with a segmentation network.

    The network takes float32 `(rgb - mean) / std` for RGB in [0, 1]: an ONNX file (onnxruntime is an optional
    dependency) as [1, 3, size, size], a .tflite file as [1, size, size, 3]. Its first output holds either class scores,
    [1, C, h, w] or, of a .tflite file, [1, h, w, C], or class numbers [1, h, w].

    Args:
      path: the .onnx or .tflite file.
      size: side of the network's input [px].
      mean, std: [3], normalisation of the input.
      classes: class numbers that count as face.
      threads: number of threads the network uses.

    Raises:
      UserError: onnxruntime is not installed, or the network has other inputs.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        classes: tuple[int, ...],
        threads: int = 1,
    ):
        self.path, self.size, self.classes = Path(path), size, classes
        tflite = self.path.suffix == ".tflite"
        self._scores = _tflite_scores(self.path, size, threads) if tflite else _onnx_scores(self.path, size, threads)
        self._mean, self._std = (np.array(values, np.float32) for values in (mean, std))

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Alpha of a crop.

        Args:
          crop: uint8 [H, W, 3].

        Returns:
          float32 [H, W], 1 on the face, with soft borders.

        Raises:
          UserError: the network does not accept the configured size, or its output is not classes.
        """
        method = cv2.INTER_AREA if crop.shape[0] > self.size else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(crop), (self.size, self.size), interpolation=method)
        scores = self._scores((image.astype(np.float32) / 255 - self._mean) / self._std)
        if scores.ndim == 4 and scores.shape[1] < 2:
            raise UserError(
                f"{self.path}: must give scores of at least two classes, one of them the background, got "
                f"{list(scores.shape)} (let the exported network end with its decision, classes [1, h, w])"
            )
        if scores.ndim == 4:
            scores = scores.argmax(1)
        if scores.ndim != 3 or len(scores) != 1:
            raise UserError(
                f"{self.path}: must give scores [1, C, h, w] or classes [1, h, w], got {list(scores.shape)}"
            )
        face = np.isin(np.rint(scores[0]).astype(np.int64), self.classes).astype(np.float32)
        method = cv2.INTER_AREA if crop.shape[0] < face.shape[0] else cv2.INTER_LINEAR
        return cv2.resize(face, crop.shape[1::-1], interpolation=method)


def _wrong_size(path: Path, size: int, reason: str) -> UserError:
    return UserError(f"{path}: must take an input of prepare.parser_size {size}, got: {reason}")


def _onnx_scores(path: Path, size: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    session = open_network(path, OPTION, threads)
    entry, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def scores(image: np.ndarray) -> np.ndarray:
        try:
            return session.run([output], {entry: image.transpose(2, 0, 1)[None]})[0]
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise _wrong_size(path, size, one_line(error)) from error

    return scores


def _tflite_scores(path: Path, size: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    network = TfliteNetwork(path, threads)
    if network.input_shape != (1, size, size, 3):
        raise _wrong_size(path, size, f"an input {list(network.input_shape)}")

    def scores(image: np.ndarray) -> np.ndarray:
        first = next(iter(network(image[None]).values()))
        return np.moveaxis(first, -1, 1) if first.ndim == 4 else first

    return scores
