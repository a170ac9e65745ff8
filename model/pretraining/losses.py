"""Loss terms of the regressor's pre-training: direct terms (true coefficients) and weak terms (the photo).

With errors of coefficients alone, predictions of albedo and light stay at the mean, so both are also compared on the
mesh, as colours and as shading.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.geometry.reference import REFERENCE_SIZE
from lib.geometry.rotation import rotation_matrix
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.losses import safe_norm
from model.morphable_model import MorphableModel
from model.pretraining import deep3d_losses
from model.runs.symptoms import batch_dependence, saturation

# Typical spread of the groups without unit variance; dividing by it weights all groups alike.
SPREAD = {"identity": 1.0, "expression": 1.0, "albedo": 1.0, "angles": 0.2, "light": 0.1, "translation": 0.15}
LANDMARK_UNIT = 20.0  # px of an image of REFERENCE_SIZE


class DirectSupervision:
    """Distance between predicted and true coefficients, in coefficients, points, colours and light.

    Args:
      face_model: the model of the coefficients.
      camera: projects the landmarks and vertices.
      vertices: number of vertices to compare, evenly spaced among the vertices of the face's front.
    """

    def __init__(self, face_model: FaceModel, camera: Camera, vertices: int):
        self.layout, self.camera = face_model.layout, camera
        front = np.flatnonzero(face_model.front_mask)
        chosen = front[np.unique(np.linspace(0, len(front) - 1, min(vertices, len(front))).astype(int))]
        self.marks = len(face_model.landmarks)
        with_marks = np.concatenate([face_model.landmarks, chosen])
        self.mean_shape = tf.constant(face_model.mean_shape[with_marks])
        basis = np.concatenate([face_model.identity_basis, face_model.expression_basis])[:, with_marks]
        self.shape_basis = tf.constant(basis.reshape(len(basis), -1))
        self.albedo = tf.constant(face_model.mean_albedo[chosen].reshape(-1))
        self.albedo_basis = tf.constant(face_model.albedo_basis[:, chosen].reshape(len(face_model.albedo_basis), -1))
        incidence = incident_triangles(face_model.triangles, face_model.vertex_count)
        normals = vertex_normals(tf.constant(face_model.mean_shape)[None], face_model.triangles, incidence)
        self.normals = tf.gather(normals[0], chosen)

    def landmarks(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Landmarks [B, 68, 2], in pixels, of faces with coefficients [B, K]."""
        parts = self.layout.split(coefficients)
        return self._project(parts, _turned(parts, self._shape(parts)))[:, : self.marks]

    def __call__(self, predicted: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """Unweighted direct terms of predicted coefficients [B, K] against the true ones [B, K]."""
        ours, theirs = self.layout.split(predicted), self.layout.split(truth)
        our_shape, their_shape = self._shape(ours), self._shape(theirs)
        our_turned, their_turned = _turned(ours, our_shape), _turned(theirs, their_shape)
        off = safe_norm(self._project(ours, our_turned) - self._project(theirs, their_turned))
        unit = LANDMARK_UNIT * self.camera.image_size[0] / REFERENCE_SIZE
        # Light is compared on the normals of the true pose, because other terms already measure errors of the pose.
        normals = tf.matmul(self.normals, rotation_matrix(theirs.angles))
        albedo_error = tf.matmul(ours.albedo - theirs.albedo, self.albedo_basis)
        return {
            "coefficients": sum(
                tf.reduce_mean(tf.square((getattr(ours, group) - getattr(theirs, group)) / spread))
                for group, spread in SPREAD.items()
                if getattr(ours, group).shape[-1]
            ),
            "landmarks": tf.reduce_mean(off[:, : self.marks]) / unit,
            "dense": tf.reduce_mean(off[:, self.marks :]) / unit,
            # Without translation: its depth component, which a photo hardly shows, would drown errors of rotation.
            "turned": tf.reduce_mean(safe_norm(our_turned - their_turned)),
            # Rotation also has a separate term, because in "turned" the larger errors of shape hide it.
            "rotation": tf.reduce_mean(rotation_distance(ours.angles, theirs.angles)),
            "translation": tf.reduce_mean(safe_norm(ours.translation - theirs.translation)),
            "canonical": tf.reduce_mean(safe_norm(our_shape - their_shape)),
            "albedo": tf.reduce_mean(tf.abs(albedo_error)),
            "light": tf.reduce_mean(tf.abs(shading(normals, ours.light) - shading(normals, theirs.light))),
        }

    def symptoms(self, predicted: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        """Measures for `Symptoms` on coefficients [B, K]: `dependence` of shape and albedo, and `saturated`.

        Light is `saturated` where a vertex's shading is black, or overexposes the albedo, and the true one does not.
        """
        ours, theirs = self.layout.split(predicted), self.layout.split(truth)
        albedos = [self.albedo + tf.matmul(parts.albedo, self.albedo_basis) for parts in (ours, theirs)]
        normals = tf.matmul(self.normals, rotation_matrix(theirs.angles))
        drawn, true = (
            tf.reshape(albedo, [-1, normals.shape[1], 3]) * shading(normals, parts.light)
            for albedo, parts in zip(albedos, (ours, theirs), strict=True)
        )
        shapes = [tf.reshape(self._shape(parts), [-1, 3 * self.mean_shape.shape[0]]) for parts in (ours, theirs)]
        return {
            "dependence shape": batch_dependence(*shapes),
            "dependence albedo": batch_dependence(*albedos),
            "saturated": saturation(drawn, true, tf.ones_like(true[..., :1])),
        }

    def _shape(self, parts: Coefficients) -> tf.Tensor:
        offsets = tf.matmul(tf.concat([parts.identity, parts.expression], axis=-1), self.shape_basis)
        return self.mean_shape + tf.reshape(offsets, [-1, self.mean_shape.shape[0], 3])

    def _project(self, parts: Coefficients, turned: tf.Tensor) -> tf.Tensor:
        return self.camera.project(turned + parts.translation[:, None, :])


def rotation_distance(ours: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
    """Chordal distance [B] of rotations given by angles [B, 3]; approximates the angle between them if it is small."""
    # |R - S|_F = 2 sqrt(2) sin(angle / 2) for any axis. Unlike the arc cosine, it is differentiable near zero.
    difference = rotation_matrix(ours) - rotation_matrix(theirs)
    return safe_norm(tf.reshape(difference, [-1, 9])) / np.sqrt(2.0)


def _turned(parts: Coefficients, shape: tf.Tensor) -> tf.Tensor:
    """Rotates a shape [B, M, 3] about the origin by the head's angles."""
    return tf.matmul(shape, rotation_matrix(parts.angles))


class WeakSupervision:
    """Loss of Deep3DFaceReconstruction: renders the predicted face and compares it with the photo.

    Args:
      model: the morphable model.
      camera: camera of the photos, with their image size.
      identity_network: frozen network that embeds photo and rendering for the perceptual term.
    """

    def __init__(self, model: MorphableModel, camera: Camera, identity_network: Callable[..., tf.Tensor]):
        self.model, self.camera, self.identity_network = model, camera, identity_network
        self.front = tf.constant(model.face_model.front_mask[None, :, None], tf.float32)

    def __call__(
        self, coefficients: tf.Tensor, images: tf.Tensor, alpha: tf.Tensor, landmarks: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Unweighted terms of `deep3d_losses`.

        Args:
          coefficients: [B, K] predicted.
          images: [B, H, W, 3] RGB in [0, 1].
          alpha: [B, H, W, 1] in [0, 1], 1 on visible skin.
          landmarks: [B, 68, 2] landmarks in the photo, pixels.
        """
        face = self.model.posed(coefficients, self.camera)
        clip = self.camera.clip_coordinates(face.vertices)
        fragments = rasterize(clip, self.model.triangles, self.camera.image_size)
        # The front of the face is rendered as a fourth channel; only its pixels enter the loss.
        front = tf.broadcast_to(self.front, tf.stack([tf.shape(clip)[0], self.model.vertex_count, 1]))
        drawn = interpolate(tf.concat([face.albedo * face.shading, front], axis=-1), self.model.triangles, fragments)
        rendering = drawn[..., :3]
        inside = tf.stop_gradient(tf.cast(drawn[..., 3:] > 0.5, tf.float32)) * fragments.mask * alpha
        overlay = inside * tf.clip_by_value(rendering, 0.0, 1.0) + (1.0 - inside) * images
        return {
            "photometric": deep3d_losses.photometric_loss(rendering, images, inside),
            "landmarks": deep3d_losses.landmark_loss(face.landmarks, landmarks, self.camera.image_size[0]),
            "perceptual": deep3d_losses.perceptual_loss(
                self.identity_network(overlay, training=False),
                tf.stop_gradient(self.identity_network(images, training=False)),
            ),
            "prior": deep3d_losses.prior_loss(face.coefficients),
            "reflectance": deep3d_losses.reflectance_loss(face.albedo, self.model.skin_mask),
            "light": deep3d_losses.light_loss(face.coefficients.light),
        }


def total_weak_loss(terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Sum of the weak terms with the weights of Deep3DFaceReconstruction."""
    return sum(weight * terms[name] for name, weight in deep3d_losses.WEIGHTS.items())
