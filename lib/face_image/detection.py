"""Detection of faces and five points per face with the networks of mtcnn (its wheel contains the weights)."""

import dataclasses
import functools

import cv2
import numpy as np

from lib.face_image.alignment import MIRRORED_POINTS
from lib.face_image.cascade import LEAST_FACE, OUTPUT_SIDE, Cascade
from lib.face_image.quality import Unusable
from lib.images.shrinking import shrunk_around

# Longest side of the image in the first pass. With its border, the smallest faces are 4 % of the photo's side.
WORKING_SIDE = 640
# Minimum face sizes in the first pass, in pixels of the reduced image. When only the largest face is wanted, larger
# sizes are tried first: the smallest faces take nearly all of the detector's time.
SMALLEST = 20
LARGE = 60
# Longer strips (long side / short side) show less than half of the smallest face, and their border takes gigabytes.
MOST_ELONGATED = 50
# Second pass: the upright face in squares whose sides are these multiples of its box.
SQUARES = (0.9, 0.97, 1.03, 1.1)
# If the second pass moves the points by more than this share of the box, it has found another face.
MOST_MOVED = 0.25
# Detections of two passes that share more than this of the smaller box are the same face.
MOST_SHARED = 0.5


@dataclasses.dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
      box: [4] x, y, width, height, pixels of the photo.
      points: [5, 2] pixels (x right, y down, pixel edges): eye at the image's left, eye at its right, tip of the
        nose, mouth corner at the image's left, mouth corner at the image's right.
      confidence: of the detector, in [0, 1].
      given: name of the landmark file that the points come from; empty if the detector found them.
      landmarks: [68, 2] landmarks from that file, pixels of the photo; None without.
      mesh: [468, 2] points of MediaPipe's face mesh from that file, pixels of the photo; None without.
    """

    box: np.ndarray
    points: np.ndarray
    confidence: float
    given: str = ""
    landmarks: np.ndarray | None = None
    mesh: np.ndarray | None = None

    @property
    def area(self) -> float:
        return float(self.box[2] * self.box[3])

    def in_larger(self, ratio: np.ndarray) -> "Face":
        """The same face in a photo that is `ratio` [2] times larger in x and y."""
        return dataclasses.replace(
            self,
            box=self.box * np.tile(ratio, 2),
            points=self.points * ratio,
            landmarks=None if self.landmarks is None else self.landmarks * ratio,
            mesh=None if self.mesh is None else self.mesh * ratio,
        )


@functools.cache
def _cascade() -> Cascade:
    """The cascade, built once per process: loading the three networks takes longer than running them."""
    return Cascade()


def detect_faces(image: np.ndarray, refine: bool = True, smallest: int = SMALLEST) -> list[Face]:
    """All faces in a photo, the largest first.

    The first pass runs on the photo reduced to `WORKING_SIDE`. With `refine`, a second pass turns each face upright and
    averages the points found in squares of several sizes and their mirror images; these vary a third as much when the
    photo is rotated or shifted. A face that the second pass does not find again keeps its first points.

    Args:
      image: uint8 [H, W, 3 or 4]; alpha is ignored.
      refine: whether to run the second pass.
      smallest: minimum face size, pixels of the photo reduced to `WORKING_SIDE`.

    Returns:
      Faces in pixels of `image`; empty if there is none.
    """
    image = np.ascontiguousarray(image[..., :3])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be uint8 [H, W, 3 or 4], got {image.dtype} {list(image.shape)}")
    # The border lets the detector find faces that fill the image; small images are enlarged to allow an image pyramid.
    height, width = image.shape[:2]
    if max(height, width) > MOST_ELONGATED * min(height, width):
        return []
    border = round(0.15 * max(height, width))
    padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
    scale = WORKING_SIDE / max(padded.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    working = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=method)
    ratio = np.array([padded.shape[1] / working.shape[1], padded.shape[0] / working.shape[0]])
    faces = []
    for (left, top, right, bottom), confidence, points in zip(*_cascade().detect(working, smallest), strict=True):
        corner, size = np.array([left, top]) * ratio - border, np.array([right - left, bottom - top]) * ratio
        face = Face(np.concatenate([corner, size]), points * ratio - border, float(confidence))
        if _overlaps(face.box, width, height):
            faces.append(_refined(image, face) if refine else face)
    return sorted(faces, key=lambda face: face.area, reverse=True)


def detect_confident_faces(image: np.ndarray, name: str, min_confidence: float, most: int | None = None) -> list[Face]:
    """The confidently detected faces in a photo, the largest first.

    Args:
      image: uint8 [H, W, 3 or 4].
      name: name of the photo in the error message.
      min_confidence: detections with a lower confidence are ignored.
      most: maximum number of faces, the largest ones; None for all.

    Raises:
      Unusable: no face was found.
    """
    found: list[Face] = []
    faces: list[Face] = []
    for smallest in (LARGE, SMALLEST):
        if not faces or most != 1:
            found += (detected := detect_faces(image, refine=False, smallest=smallest))
            confident = [face for face in detected if face.confidence >= min_confidence]
            # The passes see the photo at different sizes, so each may find a face that the other misses.
            faces += [face for face in confident if not any(same_face(face, other) for other in faces)]
    faces = sorted(faces, key=lambda face: face.area, reverse=True)[:most]
    if not faces:
        seen = f"; the best detection has confidence {max(f.confidence for f in found):.2f}" if found else ""
        raise Unusable(
            "no face",
            f"{name}: no face found (it should be turned by less than about 60 degrees and take up 4 % of the photo's "
            f"side or more{seen})",
        )
    pixels = np.ascontiguousarray(image[..., :3])
    return [_refined(pixels, face) for face in faces]


def same_face(one: Face, other: Face) -> bool:
    """True if one of the boxes covers most of the other."""
    low = np.maximum(one.box[:2], other.box[:2])
    high = np.minimum(one.box[:2] + one.box[2:], other.box[:2] + other.box[2:])
    return bool(np.clip(high - low, 0, None).prod() >= MOST_SHARED * min(one.area, other.area))


def _overlaps(box: np.ndarray, width: int, height: int) -> bool:
    """True if at least half of the box lies inside the photo (the replicated border can imitate faces)."""
    inside = np.clip(np.minimum(box[:2] + box[2:], (width, height)) - np.maximum(box[:2], 0), 0, None)
    return bool(inside.prod() >= 0.5 * box[2:].prod())


def upright_transform(face: Face, side: int, fraction: float) -> np.ndarray:
    """[2, 3] similarity from photo pixels to a square of `side`: face upright, centred, its box `fraction` tall."""
    # On turned heads the direction from eyes to mouth is more stable than the line through the eyes; use both.
    across = (face.points[1] - face.points[0]) + (face.points[4] - face.points[3])
    down = face.points[3:].sum(0) - face.points[:2].sum(0)
    direction = across + np.array([down[1], -down[0]])
    direction /= max(np.linalg.norm(direction), 1e-9)
    scale = fraction * side / max(face.box[2:].max(), 1e-9)
    linear = scale * np.array([[direction[0], direction[1]], [-direction[1], direction[0]]])
    centre = 0.5 * (face.box[:2] + face.box[2:] / 2) + 0.5 * face.points.mean(0)
    return np.concatenate([linear, (side / 2 - linear @ centre)[:, None]], axis=1)


def _refined(image: np.ndarray, face: Face) -> Face:
    """The face with the mean of the points found by the last network in upright squares and their mirror images."""
    transforms = [upright_transform(face, OUTPUT_SIDE, 1 / side) for side in SQUARES]
    squares = np.stack([_warp(image, transform, OUTPUT_SIDE) for transform in transforms])
    points, probabilities = _cascade().points_in(np.concatenate([squares, squares[:, :, ::-1]]))
    points[len(squares) :] = ((1, 0) + points[len(squares) :] * (-1, 1))[:, list(MIRRORED_POINTS)]
    back = [
        (seen * OUTPUT_SIDE - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
        for seen, transform in zip(points, transforms * 2, strict=True)
    ]
    moved = np.linalg.norm(np.array(back) - face.points, axis=2).mean(axis=1)
    again = (probabilities > LEAST_FACE) & (moved < MOST_MOVED * face.box[2:].max())
    return dataclasses.replace(face, points=np.mean(back, axis=0, where=again[:, None, None])) if again.any() else face


def _warp(image: np.ndarray, transform: np.ndarray, side: int) -> np.ndarray:
    """Applies a similarity between pixel-edge coordinates; shrinks the photo first, because warping does not filter."""
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    transform = transform.copy()
    if scale < 0.7:
        corners = np.array([[0, 0], [0, side], [side, 0], [side, side]])
        seen = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
        small = shrunk_around(image, (scale, scale), seen)
        transform[:, :2] *= [image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]]
        image = small
    # OpenCV's coordinates have their origin at a pixel centre.
    transform[:, 2] += 0.5 * transform[:, :2].sum(1) - 0.5
    return cv2.warpAffine(image, transform, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
