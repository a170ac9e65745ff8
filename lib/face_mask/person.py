"""Which pixels of a photo show a person: MediaPipe's selfie segmentation (Apache-2.0).

The network ends in a layer that LiteRT lacks: a transposed convolution of stride 2 with a kernel of 2 x 2, which makes
four pixels of each. This module computes that layer.
"""

import functools
import hashlib
from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError
from lib.messages import restoring
from lib.network_files.tflite_constants import constants
from lib.network_files.tflite_network import TfliteNetwork

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "person" / "selfie_segmentation.tflite"
SHA256 = "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27"
FEATURES, KERNEL, BIAS = "add_13__xeno_compat__1", "segment/Kernel", "segment/Bias"
# The network's own log odds grow without limit.
LIMIT = 10.0


def person_log_odds(image: np.ndarray) -> np.ndarray:
    """Log of the odds, float32 [H, W] within `LIMIT`, that a pixel shows a person rather than what is behind.

    Args:
      image: [H, W, 3] float32 RGB in [0, 1], with a head and preferably its shoulders.

    Raises:
      UserError: see `load_network`.
    """
    network, kernel, bias = load_network()
    side = network.input_shape[1]
    method = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(image, np.float32), (side, side), interpolation=method)
    blocks = np.einsum("ijc,abc->iajb", network(small[None])[FEATURES][0], kernel[0])
    odds = np.clip(blocks.reshape(side, side) + bias, -LIMIT, LIMIT)
    return cv2.resize(odds, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


@functools.cache
def load_network() -> tuple[TfliteNetwork, np.ndarray, np.ndarray]:
    """The network without its last layer, and that layer's kernel and bias, loaded once per process.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        content = SHIPPED.read_bytes()
    except OSError as error:
        raise UserError(f"{SHIPPED}: must be readable, got {error.strerror} ({restoring(SHIPPED)})") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UserError(f"{SHIPPED}: must be MediaPipe's network, got another content ({restoring(SHIPPED)})")
    kernel, bias = constants(content, (KERNEL, BIAS))
    return TfliteNetwork(SHIPPED, outputs=(FEATURES,)), kernel, bias
