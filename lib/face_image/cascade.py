"""The multi-task cascade of Zhang et al. 2016, whose three networks the package mtcnn brings trained, driven fast.

The package's own driver finds nothing where the smallest face asked for is larger than 20 pixels (its pyramid then
goes on below the 12 pixels that the first network needs), rounds points to whole pixels, and calls every layer eagerly,
which takes most of its time. Its networks and its handling of boxes are used as they are.
"""

import cv2
import numpy as np
import tensorflow as tf
from mtcnn import MTCNN
from mtcnn.utils.bboxes import resize_to_square, smart_nms_from_bboxes

# The first network looks through windows of this side, every second pixel, at images each this much smaller.
WINDOW, STRIDE = 12, 2
PYRAMID_FACTOR = 0.709
# Sides of the patches of the second and third network.
REFINE_SIDE, OUTPUT_SIDE = 24, 48
# Least probability of a face after each of the networks.
LEAST_PROPOSED, LEAST_REFINED, LEAST_FACE = 0.6, 0.7, 0.8
# Of two boxes that overlap by more (intersection over union; in the end over the smaller box) the less probable goes.
OVERLAP_IN_LEVEL, OVERLAP = 0.5, 0.7


class Cascade:
    """The three networks as graphs."""

    def __init__(self):
        networks = {stage.name: stage.model for stage in MTCNN().stages}
        self._propose, self._refine, self._output = (
            tf.function(network, input_signature=[tf.TensorSpec([None, side, side, 3])])
            for network, side in zip(networks.values(), (None, REFINE_SIDE, OUTPUT_SIDE), strict=True)
        )

    def detect(self, image: np.ndarray, smallest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Looks for faces.

        Args:
          image: uint8 [H, W, 3].
          smallest: side of the smallest faces looked for, pixels.

        Returns:
          boxes [F, 4] (left, top, right, bottom), probabilities [F], points [F, 5, 2] as `points_in` has them; pixels.
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
        """The five points in squares that each hold one face.

        Args:
          squares: uint8 [F, 48, 48, 3].

        Returns:
          points [F, 5, 2], eyes, nose, mouth corners (x right, y down, 0 to 1 from edge to edge of the square), and the
          probabilities [F] that it is a face.
        """
        _, points, scores = self._output(tf.constant(_centred(squares)))
        return _pairs(points.numpy()), scores.numpy()[:, 1]

    def _proposals(self, image: np.ndarray, smallest: int) -> np.ndarray:
        """Squares of the first network on all levels: [P, 6] 0, left, top, right, bottom, probability."""
        height, width = image.shape[:2]
        found = [np.zeros([0, 6])]
        scale = WINDOW / smallest
        while scale * min(height, width) >= WINDOW:
            size = round(scale * width), round(scale * height)
            level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            offsets, scores = (x.numpy()[0] for x in self._propose(tf.constant(level[None])))
            rows, columns = np.nonzero(scores[..., 1] > LEAST_PROPOSED)
            corners = STRIDE * np.stack([columns, rows], axis=1)
            # The offsets were learned for windows from the second pixel to the last: with whole windows the later
            # networks see faces off centre and are less sure of them.
            boxes = np.concatenate([corners + 1, corners + WINDOW], axis=1) + (WINDOW - 1) * offsets[rows, columns]
            boxes *= np.tile([width / size[0], height / size[1]], 2)
            numbered = np.column_stack([np.zeros(len(boxes)), boxes, scores[rows, columns, 1]])
            found.append(smart_nms_from_bboxes(numbered, OVERLAP_IN_LEVEL))
            scale *= PYRAMID_FACTOR
        return resize_to_square(smart_nms_from_bboxes(np.concatenate(found), OVERLAP))


def patches(image: np.ndarray, boxes: np.ndarray, side: int) -> tf.Tensor:
    """Squares [F, side, side, 3] cut out of an image [H, W, 3], 0 outside of it; boxes [F, 4] in pixels.

    From a box's first corner to its last, as the networks have learned to see faces.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = boxes.T
    corners = np.stack([top, left, bottom, right], axis=1) / np.tile([height, width], 2)
    return tf.image.crop_and_resize(image[None], corners, np.zeros(len(boxes), np.int32), (side, side))


def _kept(boxes: np.ndarray, offsets: np.ndarray, scores: np.ndarray, least: float, overlap: str) -> np.ndarray:
    """Boxes [F, 6 or more] moved by a network's offsets [F, 4], those it is sure of, one for each face."""
    sizes = np.tile(boxes[:, 3:5] - boxes[:, 1:3], 2)
    moved = np.column_stack([boxes[:, 0], boxes[:, 1:5] + sizes * offsets, scores[:, 1], boxes[:, 6:]])
    return smart_nms_from_bboxes(moved[moved[:, 5] > least], OVERLAP, method=overlap)


def _pairs(points: np.ndarray) -> np.ndarray:
    """[F, 10], five x before five y, as [F, 5, 2]."""
    return np.stack([points[:, :5], points[:, 5:]], axis=-1).astype(np.float64)


def _centred(image: np.ndarray) -> np.ndarray:
    """Colours as the networks expect them."""
    return (image.astype(np.float32) - 127.5) / 128
