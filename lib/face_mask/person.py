"""Which pixels of a photo show a person: MediaPipe's selfie segmentation (Apache-2.0), 8 ms a photo.

The network ends in a layer that LiteRT lacks, a transposed convolution of stride 2 with a kernel of 2 x 2: every pixel of
its input becomes a block of four. That layer is computed here.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from lib.network_files.tflite_constants import constants
from lib.network_files.tflite_network import TfliteNetwork

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "person" / "selfie_segmentation.tflite"
FEATURES, KERNEL, BIAS = "add_13__xeno_compat__1", "segment/Kernel", "segment/Bias"
# The network's own log odds grow without limit.
LIMIT = 10.0


def person_log_odds(image: np.ndarray) -> np.ndarray:
    """Log of the odds, float32 [H, W] within `LIMIT`, that a pixel shows a person rather than what is behind.

    Args:
      image: [H, W, 3] float32 RGB in [0, 1], with a head and preferably its shoulders.
    """
    network, kernel, bias = _network()
    side = network.input_shape[1]
    method = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(image, np.float32), (side, side), interpolation=method)
    blocks = np.einsum("ijc,abc->iajb", network(small[None])[FEATURES][0], kernel[0])
    odds = np.clip(blocks.reshape(side, side) + bias, -LIMIT, LIMIT)
    return cv2.resize(odds, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


@functools.cache
def _network() -> tuple[TfliteNetwork, np.ndarray, np.ndarray]:
    """The network without its last layer, and that layer's kernel and bias, loaded once per process."""
    kernel, bias = constants(SHIPPED.read_bytes(), (KERNEL, BIAS))
    return TfliteNetwork(SHIPPED, outputs=(FEATURES,)), kernel, bias
