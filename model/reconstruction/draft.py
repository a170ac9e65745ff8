"""Intermediate state of reconstructions, and the fit targets made from it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from lib.face_image.alignment import five_points
from lib.face_mesh.groups import POINTS
from lib.face_mesh.network import find_mesh_points
from lib.face_mesh.surface_points import SurfacePoints
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.clipping import clipped
from model.face_gcn import FaceReconstruction
from model.fitting.energy import FitTargets
from model.fitting.landmark_fit import LandmarkFitter
from model.fitting.weights import FitWeights
from model.gaze import CORNERS, find_gaze
from model.metrics.images import coverage, masked_psnr
from model.morphable_model import MorphableModel
from model.photos.reader import AlignedPhoto

# Weight of the 468 points next to 68 landmarks from the user: they only support what those leave undetermined.
SUPPORT = 0.1
# The jaw among the 68 landmarks.
JAW_68 = slice(17)
# If one of the five points from the user lies this far from the network's (pixels of 224), the network is wrong.
CONFLICT = 12.0


@dataclasses.dataclass(frozen=True)
class Draft:
    """Intermediate state of a reconstruction.

    Attributes:
      photo: the aligned photo.
      alpha: [H, W] current mask.
      coefficients: [K] current coefficients.
      embedding: [1, E] embedding of the crop.
      regressed: [K] the regressor's output, placed on the five points.
      mesh: [468, 2] the face mesh's points, pixels of the crop, from the user or the network; None if the network found
        no face, contradicts the user's points, or was not used.
      irises: [2, 5, 2] of the network, see `MeshPoints`; None unless `mesh` is the network's.
    """

    photo: AlignedPhoto
    alpha: np.ndarray
    coefficients: np.ndarray
    embedding: tf.Tensor
    regressed: np.ndarray
    mesh: np.ndarray | None = None
    irises: np.ndarray | None = None


def mesh_points(photo: AlignedPhoto) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The face mesh's points [468, 2] in the crop of a photo: the user's, or the network's with the irises [2, 5, 2].

    Returns:
      No points if the network finds no face, or one elsewhere than the points that the user gave.
    """
    face, alignment = photo.face, photo.alignment
    if face.mesh is not None:
        return alignment.to_crop(face.mesh), None
    found = find_mesh_points(alignment.crop[..., :3], alignment.points)
    if not found.is_face:
        return None, None
    apart = np.linalg.norm(five_points(found.points) - alignment.points, axis=1).max()
    if face.given and apart * REFERENCE_SIZE / alignment.crop.shape[0] > CONFLICT:
        return None, None
    return found.points, found.irises


def draft_gaze(draft: Draft, points: SurfacePoints, morphable: MorphableModel, camera: Camera) -> np.ndarray | None:
    """The gaze [2] of a fitted draft.

    None if its eyes are closed, covered or turned away, if the irises were not looked for, or the face model has no
    eyeballs.

    Args:
      draft: the draft.
      points: the 468 points on the face model's surface.
      morphable, camera: face model and camera of the crops.
    """
    if draft.mesh is None or draft.irises is None or morphable.eyes is None:
        return None
    face = morphable.posed(tf.constant(draft.coefficients[None]), camera)
    corners = camera.project(tf.constant(points.on(face.vertices.numpy())[:, CORNERS.ravel()]))
    pose = morphable.layout.split(draft.coefficients)
    return find_gaze(
        morphable.eyes.person(pose.identity),
        draft.mesh,
        uncovered(draft.irises, draft.alpha),
        corners.numpy().reshape(*CORNERS.shape, 2),
        pose.angles.astype(np.float64),
        pose.translation,
        camera,
    )


def uncovered(irises: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Irises [2, 5, 2], NaN where most of an eye's points lie outside the mask [H, W], as behind sunglasses."""
    last = np.array(alpha.shape[::-1]) - 1
    columns, rows = np.clip(np.floor(np.nan_to_num(irises)), 0, last).astype(int).T
    seen = alpha[rows, columns].T.mean(axis=1) >= 0.5
    return np.where(seen[:, None, None], irises, np.nan)


def with_refined_lips(draft: Draft, fit_landmarks: LandmarkFitter) -> Draft:
    """A fitted draft whose expression follows the points on the lips more closely.

    The draft itself if there are no such points, or better ones: 68 landmarks from the user.
    """
    if draft.mesh is None or draft.photo.face.landmarks is not None:
        return draft
    return dataclasses.replace(draft, coefficients=fit_landmarks.refine_expression(draft.coefficients, draft.mesh))


def fit_targets(
    drafts: Sequence[Draft], landmarks: tf.Tensor, weights: FitWeights, regressed: np.ndarray | None = None
) -> FitTargets:
    """Targets of the drafts' crops.

    Args:
      drafts: B drafts.
      landmarks: [B, 68, 2] weak targets, pixels of the crops; used if neither the network nor the user supplied
        landmarks.
      weights: weights of the fit.
      regressed: [B, K] the regressor's coefficients; None to expect the face model's mean.
    """
    weak = np.array(landmarks, np.float32)
    weight = np.zeros([len(drafts), 68], np.float32)
    mesh, mesh_weight = np.zeros([len(drafts), POINTS, 2], np.float32), np.zeros(len(drafts), np.float32)
    sigma = np.full(len(drafts), weights.point_sigma, np.float32)
    mouth_seen = np.zeros(len(drafts), bool)
    for row, draft in enumerate(drafts):
        face, alignment = draft.photo.face, draft.photo.alignment
        if draft.mesh is not None:
            mesh[row], mesh_weight[row] = draft.mesh, 1.0
            sigma[row] = weights.detected_sigma
        if draft.mesh is not None and face.mesh is not None:  # its points include the five
            mesh_weight[row] = (weights.mesh_sigma / weights.given_sigma) ** 2
        elif face.given:
            sigma[row] = weights.given_sigma
        if face.landmarks is not None:
            weak[row] = alignment.to_crop(face.landmarks)
            weight[row] = (weights.regressed_sigma / weights.given_sigma) ** 2
            # No vertex is the jaw's: the points slide along the contour.
            weight[row, JAW_68] = (weights.regressed_sigma / weights.contour_sigma) ** 2
            mesh_weight[row] *= SUPPORT
        elif draft.mesh is None:
            weight[row] = 1.0
        mouth_seen[row] = draft.mesh is not None or face.landmarks is not None
    found = {"mesh": mesh, "mesh_weight": mesh_weight, "mouth_seen": mouth_seen} if mouth_seen.any() else {}
    return FitTargets(
        image=tf.constant(np.stack([draft.photo.rgb for draft in drafts])),
        alpha=tf.constant(np.stack([draft.alpha for draft in drafts])[..., None]),
        points=tf.constant(np.stack([draft.photo.alignment.points for draft in drafts]), tf.float32),
        landmarks=tf.constant(weak),
        landmark_weight=tf.constant(weight),
        point_sigma=tf.constant(sigma),
        inside=tf.constant(np.stack([draft.photo.covered for draft in drafts])),
        regressed=None if regressed is None else tf.constant(regressed, tf.float32),
        **{name: tf.constant(values) for name, values in found.items()},
    )


def rgba(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Joins colours [H, W, 3] and a mask [H, W] to a batch of one crop, [1, H, W, 4] float32."""
    return np.concatenate([rgb, alpha[..., None]], axis=-1)[None].astype(np.float32)


def figures(result: FaceReconstruction, crop: tf.Tensor, five: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Metrics of a `PhotoResult`.

    Args:
      result: the reconstruction of `crop`.
      crop: [1, H, W, 4] with its mask.
      five: [5, 2] the face's five points, pixels of the crop; points: [5, 2] the given ones.
    """
    mask = result.mask * crop[..., 3:]
    distance = np.linalg.norm(five - points, axis=-1)
    to_reference = REFERENCE_SIZE / crop.shape[1]
    return {
        "psnr_coarse": float(masked_psnr(clipped(result.coarse.rendering), crop[..., :3], mask)[0]),
        "psnr_fine": float(masked_psnr(clipped(result.rendering), crop[..., :3], mask)[0]),
        "coverage": float(coverage(mask, crop[..., 3:])[0]),
        "five_point_residual_px": float(distance.mean() * to_reference),
        "five_point_residual_px_max": float(distance.max() * to_reference),
    }
