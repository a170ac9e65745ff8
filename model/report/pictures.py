"""Pictures of one reconstructed photo, by title."""

from collections.abc import Mapping
from typing import Protocol

import cv2
import numpy as np
import tensorflow as tf

from lib.face_image.alignment import Alignment
from lib.images.clipping import clipped
from lib.images.display import to_bytes
from lib.images.holes import with_filled_holes, without_holes
from model.face_gcn import FaceReconstruction


class AlignedFace(Protocol):
    """The attributes of an `AlignedPhoto` that the page uses."""

    @property
    def name(self) -> str: ...

    @property
    def rgb(self) -> np.ndarray: ...

    @property
    def alignment(self) -> Alignment: ...


class BakedFace(Protocol):
    """The attributes of `FaceTextures` that the page uses: uint8 [T, T, 3], row 0 at v = 1."""

    @property
    def lit(self) -> np.ndarray: ...

    @property
    def albedo(self) -> np.ndarray: ...


class ReportedPhoto(Protocol):
    """The attributes of a `PhotoResult` that the page uses; this package must not import that class."""

    @property
    def photo(self) -> AlignedFace: ...

    @property
    def alpha(self) -> np.ndarray: ...

    @property
    def reconstruction(self) -> FaceReconstruction: ...

    @property
    def views(self) -> Mapping[str, np.ndarray]: ...

    @property
    def textures(self) -> BakedFace: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...


def rendering_alpha(result: ReportedPhoto) -> np.ndarray:
    """Alpha [H, W, 1] of the renderings of a `PhotoResult`.

    Between lips and teeth one looks into the mouth, and not through the head.
    """
    return without_holes(np.asarray(result.reconstruction.mask)[0])


def rendered(result: ReportedPhoto, rendering: tf.Tensor) -> np.ndarray:
    """One of the renderings [1, H, W, 3] of a `PhotoResult` as uint8 [H, W, 3], without holes in the mouth."""
    return to_bytes(with_filled_holes(clipped(rendering)[0].numpy(), np.asarray(result.reconstruction.mask)[0]))


def pictures(result: ReportedPhoto) -> dict[str, np.ndarray]:
    """All pictures of a `PhotoResult`: title -> uint8 [H, W, 3]."""
    size = result.photo.rgb.shape[0]
    return crop_pictures(result) | {title: _on_black(view, size) for title, view in result.views.items()}


def crop_pictures(result: ReportedPhoto) -> dict[str, np.ndarray]:
    """Pictures of a `PhotoResult` in the photo's view: title -> uint8 [H, W, 3]."""
    reconstruction, rgb = result.reconstruction, result.photo.rgb
    mask = result.alpha[..., None]
    return {
        "photo": to_bytes(rgb),
        "mask": to_bytes(rgb * mask + np.array([1.0, 0.0, 1.0]) * (1 - mask)),
        "coarse": rendered(result, reconstruction.coarse.rendering),
        "fine": rendered(result, reconstruction.rendering),
        "overlay": to_bytes(clipped(reconstruction.overlay)[0].numpy()),
        "landmarks": landmark_picture(
            rgb, reconstruction.coarse.face.landmarks[0].numpy(), result.photo.alignment.points
        ),
    }


def _on_black(view: np.ndarray, size: int) -> np.ndarray:
    """A view [S, S, 4] as uint8 [size, size, 3]."""
    covered = np.asarray(view[..., :3] * view[..., 3:], np.float32)
    return to_bytes(covered if len(view) == size else cv2.resize(covered, (size, size), interpolation=cv2.INTER_AREA))


def landmark_picture(rgb: np.ndarray, landmarks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The crop with the 68 projected landmarks (green) and the five detected points (red), uint8 [H, W, 3]."""
    scale = 4  # drawn enlarged and scaled down, so that small circles are round
    image = cv2.resize(to_bytes(rgb), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    for found, colour, radius in ((landmarks, (60, 255, 60), 5), (points, (255, 40, 40), 6)):
        for x, y in np.rint(found * scale - 0.5).astype(int).tolist():
            cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)
    return cv2.resize(image, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
