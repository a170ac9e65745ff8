"""Place of a head in the frame of a video, independent of the crop in which it was fitted.

A place is (x, y, log s): the pixel of the frame to which the face model's origin projects, and the logarithm of the
frame's pixels per decimetre at its depth. Crops jump between frames; places do not.
"""

import numpy as np

from lib.geometry.camera import Camera


def place_in_frame(camera: Camera, translation: np.ndarray, photo_to_crop: np.ndarray) -> np.ndarray:
    """Places [..., 3] of heads with translations [..., 3], decimetres, in crops [..., 2, 3] (see `Alignment`)."""
    depth = camera.distance - translation[..., 2]
    scale = camera.focal_length / depth
    height, width = camera.image_size
    in_crop = np.stack([width / 2 + scale * translation[..., 0], height / 2 - scale * translation[..., 1]], axis=-1)
    in_frame = (in_crop - photo_to_crop[..., 2]) / crop_scales(photo_to_crop)
    return np.concatenate([in_frame, np.log(scale / _zoom(photo_to_crop))[..., None]], axis=-1)


def translation_in_crop(camera: Camera, place: np.ndarray, photo_to_crop: np.ndarray) -> np.ndarray:
    """Translations [..., 3], decimetres, that put heads at places [..., 3] in crops [..., 2, 3]."""
    depth = camera.focal_length / (np.exp(place[..., 2]) * _zoom(photo_to_crop))
    in_crop = place[..., :2] * crop_scales(photo_to_crop) + photo_to_crop[..., 2]
    height, width = camera.image_size
    offset = (in_crop - np.array([width, height]) / 2) * (depth / camera.focal_length)[..., None]
    return np.stack([offset[..., 0], -offset[..., 1], camera.distance - depth], axis=-1)


def crop_at(camera: Camera, place: np.ndarray) -> np.ndarray:
    """The crop [2, 3] in which a head at a place [3] has no translation."""
    zoom = camera.focal_length / camera.distance / np.exp(place[2])
    height, width = camera.image_size
    return np.array([[zoom, 0.0, width / 2 - zoom * place[0]], [0.0, zoom, height / 2 - zoom * place[1]]])


def crop_scales(photo_to_crop: np.ndarray) -> np.ndarray:
    """Crop pixels per frame pixel, [..., 2], of crops [..., 2, 3]; alignment neither rotates nor shears."""
    return np.stack([photo_to_crop[..., 0, 0], photo_to_crop[..., 1, 1]], axis=-1)


def _zoom(photo_to_crop: np.ndarray) -> np.ndarray:
    return crop_scales(photo_to_crop).mean(axis=-1)
