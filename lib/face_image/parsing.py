"""Face masks from an optional face-parsing network in an ONNX file (onnxruntime is an optional dependency)."""

from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError
from lib.network_files.onnx_network import open_network


class FaceParser:
    """Computes the alpha of aligned crops with a segmentation network.

    The network takes [1, 3, size, size] float32, `(rgb - mean) / std` for RGB in [0, 1]. Its first output holds either
    class scores [1, C, h, w] or class numbers [1, h, w].

    Args:
      path: the ONNX file.
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
        self._session = open_network(path, "prepare.parser", threads)
        self.path, self.size, self.classes = Path(path), size, classes
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
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
        values = ((image.astype(np.float32) / 255 - self._mean) / self._std).transpose(2, 0, 1)[None]
        try:
            scores = self._session.run([self._output], {self._input: values})[0]
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            reason = " ".join(str(error).split())
            raise UserError(
                f"{self.path}: must take an input of prepare.parser_size {self.size}, got: {reason}"
            ) from error
        if scores.ndim == 4:
            scores = scores.argmax(1)
        if scores.ndim != 3 or len(scores) != 1:
            raise UserError(
                f"{self.path}: must give scores [1, C, h, w] or classes [1, h, w], got {list(scores.shape)}"
            )
        face = np.isin(np.rint(scores[0]).astype(np.int64), self.classes).astype(np.float32)
        return cv2.resize(face, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
