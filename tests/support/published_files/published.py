"""The published code's own conventions, which its reference numbers are in."""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from lib.face_image.alignment import TARGET_SCALE, Alignment
from lib.geometry.camera import REFERENCE_SIZE, Camera
from model.networks.texture_networks import TextureNetwork

FOV_Y = 12.5936  # degrees, the paper's camera


def camera_of_fov(size: int, fov_y: float = FOV_Y) -> Camera:
    """A square camera given by its vertical field of view in degrees."""
    return Camera((size, size), 0.5 / math.tan(math.radians(fov_y) / 2))


def unit_square(points: tf.Tensor, size: int) -> tf.Tensor:
    """Pixel coordinates [..., 2] to the paper's, from -1 to 1, x right, y down."""
    return points * (2.0 / size) - 1.0


def y_up(points: tf.Tensor, height: int) -> tf.Tensor:
    """Pixel coordinates [..., 2] to Deep3D's, y counted from the lower edge.

    Deep3D turns such a point into an image row by `223 - y_up` on 224 px, half a pixel above the pixel edges used here
    (its inverse here is `224 - y_up`); the difference cancels wherever two of its own points are compared.
    """
    return tf.stack([points[..., 0], height - points[..., 1]], axis=-1)


def crop_points(alignment: Alignment, points: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
    """Five points of a photo in its crop by the published formula, up to 1 px off: it ignores the truncations.

    Args:
      alignment: of the photo.
      points: [5, 2] pixels of the photo, y down.
      photo_size: (height, width) of the photo.
    """
    height, width = photo_size
    size = alignment.crop.shape[0]
    upwards = np.stack([points[:, 0], height - 1 - points[:, 1]], axis=1)
    target = TARGET_SCALE * size / REFERENCE_SIZE
    scaled = (upwards - alignment.shift + np.array([width, height]) / 2) / alignment.scale * target
    scaled -= np.array(alignment.resized_size) / 2 - size / 2
    return np.stack([scaled[:, 0], size - 1 - scaled[:, 1]], axis=1)


def assign(network: TextureNetwork, weights: Mapping[str, np.ndarray]) -> None:
    """The published networks' weights, by what follows "mesh_generator/" in their names."""
    found = {name.rpartition("mesh_generator/")[2]: value for name, value in weights.items()}
    for name, variable in network.named_variables().items():
        assert found[name].shape == tuple(variable.shape), name
        variable.assign(found[name])
