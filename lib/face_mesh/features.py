"""Feature maps of MediaPipe's face mesh network: a description of a face's picture at five resolutions."""

import functools

import numpy as np

from lib.face_mesh.network import FILE, PACKAGE
from lib.network_files.tflite_network import TfliteNetwork, packaged_network

# The last tensor at each resolution, after its activation: name -> (side, channels).
MAPS = {
    "p_re_lu_2": (96, 16),
    "p_re_lu_5": (48, 32),
    "p_re_lu_8": (24, 64),
    "p_re_lu_11": (12, 128),
    "p_re_lu_14": (6, 128),
}


def crop_features(crop: np.ndarray) -> list[np.ndarray]:
    """Computes the feature maps of a crop, each float32 [side, side, channels] in the order of `MAPS`.

    Args:
      crop: uint8 [192, 192, 3] RGB, cut out of an image by `square_around` the face's points.
    """
    outputs = _network()(crop[None].astype(np.float32) / 255)
    return [outputs[name][0] for name in MAPS]


@functools.cache
def _network() -> TfliteNetwork:
    """The network, loaded once per process."""
    return TfliteNetwork(packaged_network(PACKAGE, FILE), outputs=tuple(MAPS))
