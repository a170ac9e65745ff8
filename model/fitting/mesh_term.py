"""Energy term of the 468 points: their projections, and the openings between lips and between eyelids."""

import numpy as np
import tensorflow as tf

from lib.face_mesh.groups import OVAL, POINTS
from lib.face_mesh.surface_points import GRAZING, LEAST_WEIGHT, SurfacePoints
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from model.fitting.energy import LANDMARK_REACH, robust
from model.fitting.weights import PAIRS, FitWeights


class MeshTerm:
    """Energy of posed faces relative to the points detected in their crops.

    Args:
      camera: camera of the crops.
      points: the 468 points on the face model's surface.
      weights: expected errors.
    """

    def __init__(self, camera: Camera, points: SurfacePoints, weights: FitWeights):
        self._camera = camera
        self._corners = tf.constant(points.vertices)
        self._share = tf.constant(points.barycentrics, tf.float32)[..., None]
        to_reference = REFERENCE_SIZE / camera.image_size[0]
        self._scale = tf.constant((to_reference / weights.mesh_sigmas)[:, None], tf.float32)
        self._pair_scale = to_reference / weights.feature_sigma
        self._pair_weights = tf.constant(weights.pair_weights, tf.float32)
        self._observations = weights.mesh_observations / POINTS
        self._contour = tf.constant(np.isin(np.arange(POINTS), OVAL))

    def __call__(self, vertices: tf.Tensor, found: tf.Tensor, weight: tf.Tensor) -> dict[str, tf.Tensor]:
        """Energies [B] of the points ("mesh") and of the openings ("openings").

        Args:
          vertices: [B, N, 3] posed vertices.
          found: [B, 468, 2] detected points, pixels of the crops.
          weight: [B] weight of each crop's points; 0 for crops without points.
        """
        corners = tf.gather(vertices, self._corners, axis=1)  # [B, M, 3, 3]
        offset = self._camera.project(tf.reduce_sum(self._share * corners, axis=2)) - found
        squared = tf.reduce_sum(tf.square(offset * self._scale), axis=-1)
        far = LANDMARK_REACH**2 * robust(squared / LANDMARK_REACH**2)
        share = tf.where(self._contour, self._facing(corners), 1.0)
        upper, lower = PAIRS.T
        apart = (tf.gather(offset, upper, axis=1) - tf.gather(offset, lower, axis=1)) * self._pair_scale
        factor = self._observations * weight
        return {
            "mesh": factor * tf.reduce_sum(tf.stop_gradient(share) * far, axis=-1),
            "openings": factor * 0.5 * tf.reduce_sum(self._pair_weights * tf.reduce_sum(apart**2, axis=-1), axis=-1),
        }

    def _facing(self, corners: tf.Tensor) -> tf.Tensor:
        """`silhouette_weight` for triangles [B, M, 3, 3], which lets contour points slide along the silhouette."""
        normal = tf.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        view = tf.constant([0, 0, self._camera.distance], tf.float32) - tf.reduce_mean(corners, axis=2)
        length = tf.norm(normal, axis=-1) * tf.norm(view, axis=-1)
        cosine = tf.reduce_sum(normal * view, axis=-1) / tf.maximum(length, 1e-12)
        return tf.clip_by_value(cosine / GRAZING, LEAST_WEIGHT, 1.0)
