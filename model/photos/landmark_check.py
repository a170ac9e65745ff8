"""Check of given landmarks: the face model, posed and deformed, must be able to lie there."""

import numpy as np

from lib.face_image.alignment import Alignment, five_points
from lib.face_image.detection import Face
from lib.face_image.pose import solve_pose
from lib.face_image.quality import Unusable
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.sidecar.sidecar_files import FAULT, ORDER

# Largest mean distance of a face's landmarks from the posed face model, pixels of 224; right ones are 0.2 to 0.8 off.
MOST = 3.0


class LandmarkCheck:
    """Refuses landmarks that are in an unknown order or not those of a face.

    Args:
      face_model: the model that must meet the landmarks.
      camera: camera of the crops.
    """

    def __init__(self, face_model: FaceModel, camera: Camera):
        self._camera = camera
        self._mean = face_model.mean_shape[face_model.landmarks]
        bases = (face_model.identity_basis, face_model.expression_basis)
        self._deformations = np.concatenate([basis[:, face_model.landmarks] for basis in bases])

    def __call__(self, face: Face, alignment: Alignment) -> None:
        """Checks a face with given landmarks in its crop; the 468 points are checked by the five among them.

        Raises:
          Unusable: no pose of the face model comes near the landmarks.
        """
        if face.landmarks is None:
            points, mean, deformations = alignment.points, five_points(self._mean), five_points(self._deformations)
        else:
            points, mean, deformations = alignment.to_crop(face.landmarks), self._mean, self._deformations
        residual = solve_pose(points, mean, self._camera, deformations).residual
        residual *= REFERENCE_SIZE / self._camera.image_size[0]
        if not residual <= MOST:
            raise Unusable(
                FAULT,
                f"{face.given}: points must fit a face to {MOST:g} px of 224, got {residual:.1f} px "
                f"(in another order? {ORDER})",
            )
