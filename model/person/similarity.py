"""Size, position and orientation within identity coefficients; photos from unknown distances do not determine them."""

import numpy as np

from lib.face_model.face_model import FaceModel

# Singular values below this share of the largest are rounding: identities of a symmetric model never move the face
# sideways.
_RANK = 1e-5


class Similarity:
    """Scaling, shift and rotation of the front of the face by identity coefficients.

    The displacements that identities make are projected onto those of a small similarity of the mean face (scale,
    shift, turn about its middle: seven fields), by least squares over the front's vertices.

    Args:
      face_model: the model.
    """

    def __init__(self, face_model: FaceModel):
        front = face_model.front_mask
        points = face_model.mean_shape[front].astype(np.float64)
        points -= points.mean(axis=0)
        axes = np.eye(3)
        fields = [points, *(np.broadcast_to(axis, points.shape) for axis in axes), *(np.cross(a, points) for a in axes)]
        displacements = face_model.identity_basis[:, front].astype(np.float64)
        self._projection = np.linalg.lstsq(
            np.stack([field.ravel() for field in fields], axis=1),
            displacements.reshape(len(displacements), -1).T,
            rcond=None,
        )[0]
        self._back = np.linalg.pinv(self._projection, rcond=_RANK)

    def __call__(self, identity: np.ndarray) -> np.ndarray:
        """Relative growth, shift [dm] and turn [rad] by axis, [7], of identity coefficients [Ki]."""
        return self._projection @ identity

    def taken_from(self, identity: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The coefficients [Ki] closest to `identity` (least squares) of the size, position and turn of `other`."""
        return identity + self._back @ self(other - identity)
