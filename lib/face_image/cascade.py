"""A fast driver for the multi-task cascade of Zhang et al. 2016 with the trained networks of the package mtcnn.

The package's own driver finds no faces when its minimum face size exceeds 20 pixels (its pyramid then continues below
the 12 pixels that the first network needs), rounds points to whole pixels, and spends most of its time calling layers
eagerly. Its networks' weights and its box operations are used unchanged.
"""

import cv2
import numpy as np
import tensorflow as tf
from mtcnn.utils.bboxes import resize_to_square, smart_nms_from_bboxes

from lib.face_image.cascade_networks import output_network, propose_network, refine_network

# The first network: side and spacing of its windows [px], and the scale between levels of the image pyramid.
WINDOW, STRIDE = 12, 2
PYRAMID_FACTOR = 0.709
# Sides of the patches of the second and third network.
REFINE_SIDE, OUTPUT_SIDE = 24, 48
# Minimum face probability after each network.
LEAST_PROPOSED, LEAST_REFINED, LEAST_FACE = 0.6, 0.7, 0.8
# Of two boxes that overlap by more than this, the less probable is dropped. Overlap is intersection over union, and in
# the last step intersection over the smaller box.
OVERLAP_IN_LEVEL, OVERLAP = 0.5, 0.7


class Cascade:
    """The three networks and the steps between them."""

    def __init__(self):
        self._propose, self._refine, self._output = propose_network(), refine_network(), output_network()

    def detect(self, image: np.ndarray, smallest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Detects faces.

        Args:
          image: uint8 [H, W, 3].
          smallest: minimum face size, pixels.

        Returns:
          boxes [F, 4] (left, top, right, bottom), probabilities [F], points [F, 5, 2] in the order of `points_in`;
          pixels.
        """
        image = _centred(image)
        boxes = self._proposals(image, smallest)
        if len(boxes):
            offsets, scores = self._refine(patches(image, boxes[:, 1:5], REFINE_SIDE))
            boxes = resize_to_square(_kept(boxes, offsets.numpy(), scores.numpy(), LEAST_REFINED, "union"))
        if not len(boxes):
            return np.zeros([0, 4]), np.zeros([0]), np.zeros([0, 5, 2])
        offsets, points, scores = (x.numpy() for x in self._output(patches(image, boxes[:, 1:5], OUTPUT_SIDE)))
        corner, side = boxes[:, None, 1:3], boxes[:, None, 3:5] - boxes[:, None, 1:3]
        points = corner + side * _pairs(points)
        boxes = np.concatenate([boxes, points.reshape(-1, 10)], axis=1)
        boxes = _kept(boxes, offsets, scores, LEAST_FACE, "min")
        return boxes[:, 1:5], boxes[:, 5], boxes[:, 6:].reshape(-1, 5, 2)

    def points_in(self, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Locates the five points in squares that show one face each.

        Args:
          squares: uint8 [F, 48, 48, 3].

        Returns:
          points [F, 5, 2]: eyes, nose, mouth corners (x right, y down, 0 to 1 across the square), and the face
          probabilities [F].
        """
        _, points, scores = self._output(tf.constant(_centred(squares)))
        return _pairs(points.numpy()), scores.numpy()[:, 1]

    def _proposals(self, image: np.ndarray, smallest: int) -> np.ndarray:
        """The first network's squares on all pyramid levels: [P, 6] of 0, left, top, right, bottom, probability."""
        height, width = image.shape[:2]
        found = [np.zeros([0, 6])]
        scale = WINDOW / smallest
        while scale * min(height, width) >= WINDOW:
            size = round(scale * width), round(scale * height)
            level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            offsets, scores = (x.numpy()[0] for x in self._propose(tf.constant(level[None])))
            rows, columns = np.nonzero(scores[..., 1] > LEAST_PROPOSED)
            corners = STRIDE * np.stack([columns, rows], axis=1)
            # The offsets were trained for windows from the second pixel to the last: with whole windows the later
            # networks see faces off centre and report lower probabilities.
            boxes = np.concatenate([corners + 1, corners + WINDOW], axis=1) + (WINDOW - 1) * offsets[rows, columns]
            boxes *= np.tile([width / size[0], height / size[1]], 2)
            numbered = np.column_stack([np.zeros(len(boxes)), boxes, scores[rows, columns, 1]])
            found.append(smart_nms_from_bboxes(numbered, OVERLAP_IN_LEVEL))
            scale *= PYRAMID_FACTOR
        return resize_to_square(smart_nms_from_bboxes(np.concatenate(found), OVERLAP))


def patches(image: np.ndarray, boxes: np.ndarray, side: int) -> tf.Tensor:
    """Cuts squares [F, side, side, 3] out of an image [H, W, 3], 0 outside it; boxes [F, 4] in pixels.

    The sampled grid includes both corners of the box, as in the networks' training data.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = boxes.T
    corners = np.stack([top, left, bottom, right], axis=1) / np.tile([height, width], 2)
    return tf.image.crop_and_resize(image[None], corners, np.zeros(len(boxes), np.int32), (side, side))


def _kept(boxes: np.ndarray, offsets: np.ndarray, scores: np.ndarray, least: float, overlap: str) -> np.ndarray:
    """Drops improbable boxes [F, 6 or more], moves the others by the offsets [F, 4], keeps one for each face."""
    sizes = np.tile(boxes[:, 3:5] - boxes[:, 1:3], 2)
    moved = np.column_stack([boxes[:, 0], boxes[:, 1:5] + sizes * offsets, scores[:, 1], boxes[:, 6:]])
    return smart_nms_from_bboxes(moved[moved[:, 5] > least], OVERLAP, method=overlap)


def _pairs(points: np.ndarray) -> np.ndarray:
    """[F, 10], five x before five y, as [F, 5, 2]."""
    return np.stack([points[:, :5], points[:, 5:]], axis=-1).astype(np.float64)


def _centred(image: np.ndarray) -> np.ndarray:
    """Colours in the range that the networks expect."""
    return (image.astype(np.float32) - 127.5) / 128
