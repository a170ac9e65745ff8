"""Evaluation of a face model in TensorFlow: coefficients to a posed, lit face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.normals import corner_indices, incident_corners, vertex_normals, without_crowded
from lib.geometry.rotation import rotation_matrix
from lib.tensor_structure import TensorStructure
from model.gaze import Eyeballs


@dataclass(frozen=True)
class PosedFace(TensorStructure):
    """A batch of posed, lit faces.

    Attributes:
      coefficients: the parts of the coefficient vectors.
      shape: [B, N, 3] before the pose, decimetres.
      vertices: [B, N, 3] world frame, decimetres.
      normals: [B, N, 3] unit vectors, world frame.
      albedo: [B, N, 3] RGB, 1 = white; linear in the coefficients, so it can lie outside [0, 1].
      shading: [B, N, 3] light arriving at the vertices; colour = albedo x shading.
      landmarks: [B, 68, 2] pixels of the camera's image (x right, y down).
    """

    coefficients: Coefficients
    shape: tf.Tensor
    vertices: tf.Tensor
    normals: tf.Tensor
    albedo: tf.Tensor
    shading: tf.Tensor
    landmarks: tf.Tensor


class MorphableModel:
    """A FaceModel whose arrays are TensorFlow constants, created once and shared by the compiled functions.

    Attributes:
      triangles: [F, 3] int32.
      landmark_vertices: [68] int32.
      skin_vertices: [S] int32.
      skin_mask: [N] float32, 1 at the skin vertices, 0 elsewhere.
      hairy: [N] float32, 1 where brows and beards grow, 0 elsewhere, also if the face model has no such regions.
      symmetric_pairs: [P, 2] int32.

    Args:
      face_model: the model to evaluate.
      normal_weighting: "area" (the paper) or "uniform" (Deep3D).
      pairs: [P, 2] vertices that should look alike; by default the pairs of the model's mirror map.
    """

    def __init__(
        self,
        face_model: FaceModel,
        normal_weighting: str = "area",
        pairs: np.ndarray | None = None,
    ):
        self.face_model = face_model
        self.layout = face_model.layout
        self.vertex_count = face_model.vertex_count
        self.normal_weighting = normal_weighting
        self.triangles = tf.constant(face_model.triangles)
        corners = incident_corners(face_model.triangles, face_model.vertex_count)
        corners, crowded, crowded_corners = without_crowded(corners, face_model.triangles.size)
        # Separate attributes, because stored functions look their constants up by name.
        self._incidence, self._crowded = tf.constant(corners // 3), tf.constant(crowded)
        self._crowded_incidence = tf.constant(crowded_corners // 3)
        self._corners = tf.constant(corner_indices(corners, len(face_model.triangles)))
        self._crowded_corners = tf.constant(corner_indices(crowded_corners, len(face_model.triangles)))
        self.landmark_vertices = tf.constant(face_model.landmarks)
        self.skin_vertices = tf.constant(np.flatnonzero(face_model.skin_mask), tf.int32)
        self.skin_mask = tf.constant(face_model.skin_mask, tf.float32)
        self.hairy = tf.constant(_hairy(face_model))
        self.symmetric_pairs = tf.constant(
            symmetric_pairs(face_model.mirror_index) if pairs is None else pairs, tf.int32
        )
        self._mean_shape = tf.constant(face_model.mean_shape)
        self._shape_basis = _flat_basis(face_model.identity_basis, face_model.expression_basis)
        self._mean_albedo = tf.constant(face_model.mean_albedo)
        self._albedo_basis = _flat_basis(face_model.albedo_basis)

    def shape(self, identity: tf.Tensor, expression: tf.Tensor) -> tf.Tensor:
        """Vertices before the pose: identity [B, Ki] and expression [B, Ke] -> [B, N, 3] decimetres."""
        offsets = tf.matmul(tf.concat([identity, expression], axis=-1), self._shape_basis)
        return self._mean_shape + tf.reshape(offsets, [-1, self.vertex_count, 3])

    def albedo(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Colour before light: albedo coefficients [B, Ka] -> [B, N, 3] RGB, not clipped."""
        offsets = tf.matmul(coefficients, self._albedo_basis)
        return self._mean_albedo + tf.reshape(offsets, [-1, self.vertex_count, 3])

    def normals(self, vertices: tf.Tensor) -> tf.Tensor:
        """Unit normals of [B, N, 3] vertices, in their frame."""
        crowded = (self._crowded, self._crowded_incidence) if len(self._crowded) else None
        corners = self._corners, self._crowded_corners
        return vertex_normals(vertices, self.triangles, self._incidence, self.normal_weighting, crowded, corners)

    @cached_property
    def eyes(self) -> Eyeballs | None:
        """The eyeballs; None if the face model has none to turn."""
        return Eyeballs.of(self.face_model)

    def placed(self, parts: Coefficients, gaze: np.ndarray | None = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Geometry of coefficients: vertices before and after the pose, and posed normals; [B, N, 3] each.

        With a gaze [2] (`model.gaze`), the eyes turn to it; this runs in NumPy, so it works only eagerly.
        """
        shape = self.shape(parts.identity, parts.expression)
        if gaze is not None and self.eyes is not None:
            shape = tf.constant(np.stack([self.eyes.turned(face, gaze) for face in shape.numpy()]))
        vertices = tf.matmul(shape, rotation_matrix(parts.angles)) + parts.translation[:, None, :]
        # A rigid pose rotates normals with the mesh, so they need not be computed again from the posed vertices.
        return shape, vertices, self.normals(vertices)

    def posed(self, coefficients: tf.Tensor, camera: Camera, gaze: np.ndarray | None = None) -> PosedFace:
        """Evaluates coefficient vectors: geometry, normals, albedo, shading, landmarks.

        Args:
          coefficients: [B, K] in the layout's order.
          camera: projects the landmarks.
          gaze: see `placed`.
        """
        parts = self.layout.split(coefficients)
        shape, vertices, normals = self.placed(parts, gaze)
        return PosedFace(
            coefficients=parts,
            shape=shape,
            vertices=vertices,
            normals=normals,
            albedo=self.albedo(parts.albedo),
            shading=shading(normals, parts.light),
            landmarks=camera.project(tf.gather(vertices, self.landmark_vertices, axis=1)),
        )


def symmetric_pairs(mirror_index: np.ndarray) -> np.ndarray:
    """Pairs of mirrored vertices, each once, [P, 2] int32; vertices on the midline (their own mirror) are left out."""
    vertices = np.arange(len(mirror_index))
    first = vertices < mirror_index
    return np.stack([vertices[first], np.asarray(mirror_index)[first]], axis=-1).astype(np.int32)


def _flat_basis(*bases: np.ndarray) -> tf.Tensor:
    """Stacks bases [K_i, N, 3] into one matrix [sum K_i, 3 N]."""
    return tf.concat([basis.reshape(len(basis), math.prod(basis.shape[1:])) for basis in bases], axis=0)


def _hairy(face_model: FaceModel) -> np.ndarray:
    """[N] float32, 1 inside the regions of brows and beard; their soft borders are narrow."""
    nowhere = np.zeros(face_model.vertex_count, np.float32)
    brow, beard = (face_model.regions.get(name, nowhere) for name in ("brow", "beard"))
    return np.clip(np.maximum(2 * brow, 1.5 * beard), 0, 1).astype(np.float32)
