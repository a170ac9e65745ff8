"""The three networks of the package mtcnn as plain functions of the arrays in its files.

The package's Keras models compute the same; building and tracing them takes a second at every start.
"""

from collections.abc import Sequence
from pathlib import Path

import joblib
import mtcnn
import tensorflow as tf

WEIGHTS = Path(mtcnn.__file__).parent / "assets" / "weights"
# Pooling with stride 2: side of the window, and padding.
Pooling = tuple[int, str] | None


class CascadeNetwork:
    """Convolutions with parametric ReLUs, a dense layer in the second and third network, and the outputs.

    Args:
      name: of the file.
      pooling: pooling after each convolution, or None.
      dense: whether a dense layer follows.
    """

    def __init__(self, name: str, pooling: Sequence[Pooling], dense: bool):
        arrays = [tf.constant(array, tf.float32) for array in joblib.load(WEIGHTS / f"{name}.lz4")]
        inner = 3 * (len(pooling) + dense)  # kernel, bias, slopes
        self._layers = [arrays[i : i + 3] for i in range(0, inner, 3)]
        self._outputs = [arrays[i : i + 2] for i in range(inner, len(arrays), 2)]
        self._pooling = pooling

    def __call__(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Images [B, H, W, 3], see `lib.face_image.cascade` -> outputs, the last one probabilities."""
        for (kernel, bias, slopes), pooling in zip(self._layers, self._pooling, strict=False):
            x = _parametric_relu(tf.nn.conv2d(x, kernel, 1, "VALID") + bias, slopes)
            if pooling is not None:
                x = tf.nn.max_pool2d(x, pooling[0], 2, pooling[1])
        for kernel, bias, slopes in self._layers[len(self._pooling) :]:
            flat = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, kernel.shape[0]])  # column by column
            x = _parametric_relu(tf.matmul(flat, kernel) + bias, slopes)
        *found, scores = (
            (tf.nn.conv2d(x, kernel, 1, "VALID") if len(kernel.shape) == 4 else tf.matmul(x, kernel)) + bias
            for kernel, bias in self._outputs
        )
        return [*found, tf.nn.softmax(scores)]


def propose_network() -> CascadeNetwork:
    """Offsets [B, h, w, 4] and probabilities [B, h, w, 2] of windows of 12 px, every second pixel."""
    return CascadeNetwork("pnet", ((2, "SAME"), None, None), dense=False)


def refine_network() -> CascadeNetwork:
    """Offsets [B, 4] and probabilities [B, 2] of squares of 24 px."""
    return CascadeNetwork("rnet", ((3, "SAME"), (3, "VALID"), None), dense=True)


def output_network() -> CascadeNetwork:
    """Offsets [B, 4], points [B, 10] and probabilities [B, 2] of squares of 48 px."""
    return CascadeNetwork("onet", ((3, "SAME"), (3, "VALID"), (2, "SAME"), None), dense=True)


def _parametric_relu(x: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(x) - slopes * tf.nn.relu(-x)
