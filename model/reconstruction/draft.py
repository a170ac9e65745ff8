"""Intermediate state of reconstructions, and the fit targets made from it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from lib.face_mesh.groups import POINTS
from lib.face_mesh.network import find_mesh_points
from model.fitting.energy import FitTargets
from model.fitting.weights import FitWeights
from model.photos.reader import AlignedPhoto

# Weight of the 468 points next to 68 landmarks from the user: they only support what those leave undetermined.
SUPPORT = 0.1


@dataclasses.dataclass(frozen=True)
class Draft:
    """Intermediate state of a reconstruction.

    Attributes:
      photo: the aligned photo.
      alpha: [H, W] current mask.
      coefficients: [K] current coefficients.
      embedding: [1, E] embedding of the crop.
      regressed: [K] the regressor's output, placed on the five points.
      mesh: [468, 2] the face mesh's points, pixels of the crop; None if the network found no face or was not used.
    """

    photo: AlignedPhoto
    alpha: np.ndarray
    coefficients: np.ndarray
    embedding: tf.Tensor
    regressed: np.ndarray
    mesh: np.ndarray | None = None


def mesh_points(photo: AlignedPhoto) -> np.ndarray | None:
    """Detects the face mesh's points [468, 2] in the crop of a photo; None if the network finds no face."""
    found = find_mesh_points(photo.alignment.crop[..., :3], photo.alignment.points)
    return found.points if found.is_face else None


def fit_targets(drafts: Sequence[Draft], landmarks: tf.Tensor, weights: FitWeights) -> FitTargets:
    """Targets of the drafts' crops.

    Args:
      drafts: B drafts.
      landmarks: [B, 68, 2] weak targets, pixels of the crops; used if neither the network nor the user supplied points.
      weights: weights of the fit.
    """
    weak = np.array(landmarks, np.float32)
    weight = np.zeros([len(drafts), 68], np.float32)
    mesh, mesh_weight = np.zeros([len(drafts), POINTS, 2], np.float32), np.zeros(len(drafts), np.float32)
    sigma = np.full(len(drafts), weights.point_sigma, np.float32)
    for row, draft in enumerate(drafts):
        face, alignment = draft.photo.face, draft.photo.alignment
        if draft.mesh is not None:
            mesh[row], mesh_weight[row] = draft.mesh, 1.0
            sigma[row] = weights.detected_sigma
        if face.given:
            sigma[row] = weights.given_sigma
        if face.landmarks is not None:
            weak[row] = alignment.to_crop(face.landmarks)
            weight[row] = (weights.landmark_sigma / weights.given_sigma) ** 2
            mesh_weight[row] *= SUPPORT
        elif draft.mesh is None:
            weight[row] = 1.0
    found = {} if not mesh_weight.any() else {"mesh": tf.constant(mesh), "mesh_weight": tf.constant(mesh_weight)}
    return FitTargets(
        image=tf.constant(np.stack([draft.photo.rgb for draft in drafts])),
        alpha=tf.constant(np.stack([draft.alpha for draft in drafts])[..., None]),
        points=tf.constant(np.stack([draft.photo.alignment.points for draft in drafts]), tf.float32),
        landmarks=tf.constant(weak),
        landmark_weight=tf.constant(weight),
        point_sigma=tf.constant(sigma),
        **found,
    )
