"""Pairs the mask's outline with the face model's silhouette, for the fit: where cheeks and jaw should end."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from lib.geometry.reference import REFERENCE_SIZE
from lib.tensor_structure import TensorStructure

# Points kept on the outline of every mask, a fixed number so that batches are tensors.
OUTLINE_POINTS = 96
# Pairs farther apart than this (pixels of 224) are mistakes: hair across the cheek, a neck taken for the face.
REACH = 14.0
# Pixels so close to the border of the crop or of the photo are cut by it.
MARGIN = 2


@dataclasses.dataclass(frozen=True)
class Outline:
    """The lower outline of one mask.

    Attributes:
      points: [P, 2] pixels (pixel edges).
      outwards: [P, 2] unit vectors.
    """

    points: np.ndarray
    outwards: np.ndarray


@dataclasses.dataclass(frozen=True)
class OutlinePairs(TensorStructure):
    """Vertices [B, P] that should project onto the outline's points [B, P, 2]; its normals [B, P, 2]; weight [B, P]."""

    vertices: tf.Tensor
    points: tf.Tensor
    outwards: tf.Tensor
    weight: tf.Tensor


def lower_outlines(alpha: tf.Tensor, five_points: tf.Tensor, inside: tf.Tensor | None) -> list[Outline]:
    """`lower_outline` of each crop: alpha [B, H, W, 1], five_points [B, 5, 2], inside [B, H, W]."""
    masks = alpha.numpy()[..., 0]
    covered = [None] * len(masks) if inside is None else inside.numpy()
    return [lower_outline(*one) for one in zip(masks, five_points.numpy(), covered, strict=True)]


def lower_outline(alpha: np.ndarray, five_points: np.ndarray, inside: np.ndarray | None = None) -> Outline:
    """The outline of a mask below the eyes, left out where the border of the crop or of the photo cuts it.

    Above the eyes the mask ends at the hair, which is not part of the face model.

    Args:
      alpha: [H, W] in [0, 1].
      five_points: [5, 2] eyes, nose, mouth corners, pixels.
      inside: bool [H, W], pixels that the photo covers; None for all.
    """
    size = alpha.shape[0]
    soft = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 2.0 * size / REFERENCE_SIZE)
    contours, _ = cv2.findContours((alpha > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    empty = Outline(np.zeros([0, 2], np.float32), np.zeros([0, 2], np.float32))
    if not contours:
        return empty
    pixels = max(contours, key=len)[:, 0]
    slope = np.stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)], axis=-1)
    outwards = -slope[pixels[:, 1], pixels[:, 0]]
    length = np.linalg.norm(outwards, axis=1)
    eyes, mouth = five_points[:2].mean(0), five_points[3:].mean(0)
    down = (mouth - eyes) / max(np.linalg.norm(mouth - eyes), 1e-6)
    below = (pixels + 0.5 - eyes) @ down > 0.15 * np.linalg.norm(mouth - eyes)
    covered = np.ones(alpha.shape, np.uint8) if inside is None else inside.astype(np.uint8)
    covered = cv2.erode(covered, np.ones([2 * MARGIN + 1] * 2, np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    uncut = covered[pixels[:, 1], pixels[:, 0]] > 0
    kept = np.flatnonzero(below & uncut & (length > 1e-4))
    if not len(kept):
        return empty
    kept = kept[np.linspace(0, len(kept) - 1, min(OUTLINE_POINTS, len(kept))).astype(int)]
    normal = outwards[kept] / length[kept, None]
    # The outline runs between the mask's last pixel and its neighbour.
    return Outline((pixels[kept] + 0.5 + 0.5 * normal).astype(np.float32), normal.astype(np.float32))


def pair_outline(
    outlines: Sequence[Outline], triangle_ids: np.ndarray, triangles: np.ndarray, projected: np.ndarray
) -> OutlinePairs:
    """Finds the silhouette vertex closest to each point of the outlines.

    Args:
      outlines: one for each image.
      triangle_ids: [B, H, W] of the rendered face, -1 in the background.
      triangles: [F, 3].
      projected: [B, N, 2] pixels.
    """
    shape = [len(outlines), OUTLINE_POINTS]
    vertices, weight = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    points, outwards = np.zeros([*shape, 2], np.float32), np.zeros([*shape, 2], np.float32)
    reach = REACH * triangle_ids.shape[1] / REFERENCE_SIZE
    for b, outline in enumerate(outlines):
        count = len(outline.points)
        face = (triangle_ids[b] >= 0).astype(np.uint8)
        rim = (face - cv2.erode(face, np.ones([3, 3], np.uint8), borderValue=1)) > 0
        if count == 0 or not rim.any():
            continue
        candidates = np.unique(triangles[triangle_ids[b][rim]])
        offsets = projected[b, candidates][None] - outline.points[:, None]
        distance = np.linalg.norm(offsets, axis=-1)
        nearest = distance.argmin(1)
        vertices[b, :count] = candidates[nearest]
        points[b, :count], outwards[b, :count] = outline.points, outline.outwards
        weight[b, :count] = (distance.min(1) < reach) / OUTLINE_POINTS
    return OutlinePairs(*map(tf.constant, (vertices, points, outwards, weight)))
