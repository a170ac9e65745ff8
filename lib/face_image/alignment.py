"""Five-point alignment of a photo as in Deep3DFaceReconstruction: scale and shift, no rotation."""

import dataclasses

import numpy as np
from PIL import Image

from lib.face_mesh.groups import POINTS
from lib.geometry.reference import REFERENCE_SIZE

# Size in pixels of one model unit (a decimetre) in a crop of REFERENCE_SIZE.
TARGET_SCALE = 102.0

# Detectors give five points, face models 68 landmarks: eye centres are means of the six lid landmarks.
FIVE_FROM_68 = np.zeros((5, 68), np.float32)
FIVE_FROM_68[0, 36:42] = FIVE_FROM_68[1, 42:48] = 1 / 6
FIVE_FROM_68[2, 30] = FIVE_FROM_68[3, 48] = FIVE_FROM_68[4, 54] = 1
# The same from the face mesh's points.
FIVE_FROM_MESH = np.zeros((5, POINTS), np.float32)
FIVE_FROM_MESH[0, [33, 160, 158, 133, 153, 144]] = FIVE_FROM_MESH[1, [362, 385, 387, 263, 373, 380]] = 1 / 6
FIVE_FROM_MESH[2, 4] = FIVE_FROM_MESH[3, 61] = FIVE_FROM_MESH[4, 291] = 1
# Order of the five points after mirroring the image: left and right swap.
MIRRORED_POINTS = (1, 0, 2, 4, 3)
_FIVE_FROM = {5: np.eye(5, dtype=np.float32), 68: FIVE_FROM_68, POINTS: FIVE_FROM_MESH}


@dataclasses.dataclass(frozen=True)
class Alignment:
    """An aligned crop and its mapping to the photo.

    Attributes:
      crop: uint8 [size, size, 3 or 4], black (alpha 0) outside the photo.
      points: [5, 2] the five points in the crop (x right, y down, pixel edges), mapped by `photo_to_crop`.
      photo_to_crop: [2, 3] affine map between pixel-edge coordinates (x right, y down).
      inside: bool [size, size], pixels of the crop that the photo covers.
      scale: s of the published fit, photo pixels per model unit.
      shift: [2] t of the published fit, photo pixels, y up. This one and the next two are for comparison with the
        published alignment; the program does not use them.
      resized_size: (w, h) of the photo after scaling.
      box: (left, up, right, below) of the crop in the resized photo.
    """

    crop: np.ndarray
    points: np.ndarray
    photo_to_crop: np.ndarray
    inside: np.ndarray
    scale: float
    shift: np.ndarray
    resized_size: tuple[int, int]
    box: tuple[int, int, int, int]

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Maps points [..., 2] from the crop to the photo."""
        return (points - self.photo_to_crop[:, 2]) @ np.linalg.inv(self.photo_to_crop[:, :2]).T

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Maps points [..., 2] from the photo to the crop."""
        return points @ self.photo_to_crop[:, :2].T + self.photo_to_crop[:, 2]

    def in_larger(self, ratio: np.ndarray) -> "Alignment":
        """The same crop of a photo that is `ratio` [2] times larger in x and y."""
        return dataclasses.replace(
            self,
            photo_to_crop=from_larger(self.photo_to_crop, ratio),
            scale=self.scale * float(ratio[0]),
            shift=self.shift * ratio,
        )


def from_larger(photo_to_crop: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Transforms [..., 2, 3] to the crops, from photos that are `ratio` [2] times larger in x and y."""
    return np.concatenate([photo_to_crop[..., :2] / ratio, photo_to_crop[..., 2:]], axis=-1)


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """The detector's five points [..., 5, C], float64, from 68 landmarks [..., 68, C], 468 points, or themselves."""
    return np.einsum("pm,...mc->...pc", _FIVE_FROM[landmarks.shape[-2]].astype(np.float64), landmarks)


def fit_scale_shift(points_y_up: np.ndarray, template: np.ndarray) -> tuple[float, np.ndarray]:
    """Least-squares scale and shift between a 3-D template and points (Deep3DFaceReconstruction's "POS" fit).

    x = k1 . P + tx and y = k2 . P + ty are solved over the five points; the scale is the mean length of k1 and k2.

    Args:
      points_y_up: [5, 2] pixels, y up.
      template: [5, 3] model units, same order.

    Returns:
      scale in pixels per model unit, shift [2] in pixels.
    """
    system = np.concatenate([template, np.ones((len(template), 1))], axis=1).astype(np.float64)
    rows = np.linalg.lstsq(system, np.asarray(points_y_up, np.float64), rcond=None)[0]  # [4, 2]
    return float(np.linalg.norm(rows[:3], axis=0).mean()), rows[3]


def align(photo: np.ndarray, points: np.ndarray, template: np.ndarray, size: int = REFERENCE_SIZE) -> Alignment:
    """Scales and crops a photo so that the face lies where the project's camera expects it.

    Args:
      photo: uint8 [H, W, 3 or 4].
      points: [5, 2] pixels of the photo, y down, order of `detection.Face.points`.
      template: [5, 3] the same points on the mean face, model units (decimetres).
      size: side of the crop; the face scales with it (102 pixels per unit at 224).

    Raises:
      ValueError: for wrong shapes, or points that do not span a face.
    """
    points, template = np.asarray(points, np.float64), np.asarray(template, np.float64)
    if points.shape != (5, 2) or template.shape != (5, 3):
        raise ValueError(f"points must be [5, 2], template [5, 3], got {list(points.shape)} and {list(template.shape)}")
    height, width = photo.shape[:2]
    # The published formula mirrors rows by height - 1 - y, as if points counted from pixel centres. They count from
    # pixel edges, so crops lie one pixel of the photo off. Kept: the shipped networks were trained on such crops.
    scale, shift = fit_scale_shift(np.stack([points[:, 0], height - 1 - points[:, 1]], axis=1), template)
    if not scale >= 1:
        raise ValueError(f"points must span a face, got a scale of {scale:.3g} pixels per decimetre")
    target = TARGET_SCALE * size / REFERENCE_SIZE
    # int() truncates towards zero, as published, even for negative numbers.
    resized = int(width / scale * target), int(height / scale * target)
    left = int(resized[0] / 2 - size / 2 + (shift[0] - width / 2) * target / scale)
    up = int(resized[1] / 2 - size / 2 + (height / 2 - shift[1]) * target / scale)
    transform = np.array([[resized[0] / width, 0, -left], [0, resized[1] / height, -up]])
    crop, inside = _crop(photo, resized, left, up, size)
    return Alignment(
        crop=crop,
        points=points @ transform[:, :2].T + transform[:, 2],
        photo_to_crop=transform,
        inside=inside,
        scale=scale,
        shift=shift,
        resized_size=resized,
        box=(left, up, left + size, up + size),
    )


def _crop(photo: np.ndarray, resized: tuple[int, int], left: int, up: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A window of the resized photo (Pillow's antialiased bicubic filter), and the mask of pixels the photo covers.

    Only the window is computed, so that a small face in a large photo does not require enlarging the whole photo.
    Colour and alpha are filtered separately: filtering RGBA would weight colours by alpha and lose those at alpha 0.
    """
    height, width = photo.shape[:2]
    x0, x1 = np.clip([left, left + size], 0, resized[0])
    y0, y1 = np.clip([up, up + size], 0, resized[1])
    if x1 <= x0 or y1 <= y0:
        raise ValueError("points must lie in the photo, got a crop entirely outside it")
    ratio_x, ratio_y = width / resized[0], height / resized[1]
    box = (x0 * ratio_x, y0 * ratio_y, min(x1 * ratio_x, width), min(y1 * ratio_y, height))
    crop = np.zeros((size, size, photo.shape[2]), np.uint8)
    window = np.s_[y0 - up : y1 - up, x0 - left : x1 - left]
    for channels in (slice(0, 3), slice(3, 4)):
        part = photo[..., channels]
        if part.shape[-1]:
            image = Image.fromarray(np.ascontiguousarray(part[..., 0] if part.shape[-1] == 1 else part))
            pixels = np.asarray(image.resize((int(x1 - x0), int(y1 - y0)), Image.Resampling.BICUBIC, box=box))
            crop[window + (channels,)] = pixels.reshape(y1 - y0, x1 - x0, -1)
    inside = np.zeros((size, size), bool)
    inside[window] = True
    return crop, inside
