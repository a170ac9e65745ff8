"""Feature maps of MediaPipe's face mesh network: a description of a face's picture at five resolutions."""

import functools

import numpy as np

from lib.face_mesh.network import FILE, PACKAGE, SIDE, Square
from lib.network_files.tflite_network import TfliteNetwork, packaged_network

# The last tensor at each resolution, after its activation: name -> (side, channels).
MAPS = {
    "p_re_lu_2": (96, 16),
    "p_re_lu_5": (48, 32),
    "p_re_lu_8": (24, 64),
    "p_re_lu_11": (12, 128),
    "p_re_lu_14": (6, 128),
}


def feature_maps(image: np.ndarray, square: Square) -> list[np.ndarray]:
    """Computes the feature maps, each float32 [side, side, channels] in the order of `MAPS`, of a square in an image.

    Args:
      image: uint8 [H, W, 3] RGB.
      square: as from `square_around` the face's points.
    """
    return crop_features(square.cut(image, SIDE))


def crop_features(crop: np.ndarray) -> list[np.ndarray]:
    """The feature maps of a crop, uint8 [192, 192, 3]."""
    outputs = _network()(crop[None].astype(np.float32) / 255)
    return [outputs[name][0] for name in MAPS]


@functools.cache
def _network() -> TfliteNetwork:
    """The network, loaded once per process."""
    return TfliteNetwork(packaged_network(PACKAGE, FILE), outputs=tuple(MAPS))
