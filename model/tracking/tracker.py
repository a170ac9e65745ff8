"""Tracks one person's face through the frames of a live video: pose and expression of every frame, as it comes."""

import dataclasses

import numpy as np

from lib.face_image.alignment import fit_scale_shift, five_points, from_larger
from lib.face_image.pose import Pose, solve_pose
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import REFERENCE_SIZE, Camera
from model.fitting.weights import FitWeights
from model.gaze import CORNERS, Eyeballs, find_gaze
from model.tracking.expression_fit import ExpressionFitter
from model.tracking.face_points import FacePoints
from model.tracking.frame_place import crop_at, place_in_frame, translation_in_crop
from model.tracking.one_euro import OneEuroFilter
from model.tracking.stages import StageTimes

# Steps of the fit in a frame after a tracked one, and after the face was found anew.
STEPS, FIRST_STEPS = 2, 15
# If the fitted points are farther off on average (pixels of 224), the network saw something else than a face.
LARGEST_ERROR = 8.0
# Rise of the filter's cut-off frequency, Hz, for each radian, decimetre and unit of expression a second.
ANGLE_SLOPE, PLACE_SLOPE, EXPRESSION_SLOPE = 8.0, 8.0, 2.0


@dataclasses.dataclass(frozen=True)
class TrackedFace:
    """A face in one frame, smoothed.

    Attributes:
      expression: [Ke] coefficients.
      angles: [3] pitch, yaw and roll, radians.
      translation: [3] decimetres.
      photo_to_crop: [2, 3] transform from the frame to the crop that pose and camera refer to, see `Alignment`.
      gaze: [2] as in `model.gaze`, the last one while the eyes are closed; None if the face model has no eyeballs.
    """

    expression: np.ndarray
    angles: np.ndarray
    translation: np.ndarray
    photo_to_crop: np.ndarray
    gaze: np.ndarray | None = None

    def in_larger(self, ratio: np.ndarray) -> "TrackedFace":
        """The same face in a frame that is `ratio` [2] times larger in x and y."""
        return dataclasses.replace(self, photo_to_crop=from_larger(self.photo_to_crop, ratio))


class FaceTracker:
    """Tracks the face that `find` follows.

    Args:
      find: finds the points of the face.
      face_model: the model.
      identity: [Ki] coefficients of the person.
      camera: camera of the crops.
      points: the 468 points on the model's surface.
      weights: expected errors.
      cutoff: cut-off frequency of the smoothing at rest, Hz.
      times: receives the times of the stages "landmarks" and "fit".
    """

    def __init__(
        self,
        find: FacePoints,
        face_model: FaceModel,
        identity: np.ndarray,
        camera: Camera,
        points: SurfacePoints,
        weights: FitWeights,
        cutoff: float,
        times: StageTimes | None = None,
    ):
        self._find, self._camera, self._times = find, camera, times or StageTimes()
        self._template = five_points(face_model.mean_shape[face_model.landmarks])
        basis = five_points(face_model.identity_basis[:, face_model.landmarks])
        self._own_five = self._template + np.tensordot(np.asarray(identity, np.float64), basis, 1)
        self._fit = ExpressionFitter(face_model, identity, camera, points, weights)
        self._smooth_expression = OneEuroFilter(cutoff, EXPRESSION_SLOPE)
        self._smooth_angles = OneEuroFilter(cutoff, ANGLE_SLOPE)
        self._smooth_place = OneEuroFilter(cutoff, PLACE_SLOPE)
        eyes = Eyeballs.of(face_model)
        self._spheres = None if eyes is None else eyes.person(np.asarray(identity, np.float64))
        self._smooth_gaze, self._gaze = OneEuroFilter(cutoff, ANGLE_SLOPE), np.zeros(2)
        # Unknowns of the last frame, without smoothing; None if the face was lost.
        self._last: np.ndarray | None = None
        self._place = np.zeros(3)

    def __call__(self, frame: np.ndarray, seconds: float) -> TrackedFace | None:
        """The face in a frame; None if it is lost.

        Args:
          frame: uint8 [H, W, 3] RGB.
          seconds: time of the frame, later than that of the last one.
        """
        with self._times("landmarks"):
            points = self._find(frame, seconds)
        if points is None:
            self._last = None
            return None
        with self._times("fit"):
            return self._fitted(points, seconds)

    def _fitted(self, points: np.ndarray, seconds: float) -> TrackedFace | None:
        camera, count = self._camera, self._fit.count
        if self._find.moved:  # after a cut, say: the last frame's motion does not lead here
            for smooth in (self._smooth_expression, self._smooth_angles, self._smooth_place, self._smooth_gaze):
                smooth.reset()
        if self._last is None or self._find.moved:
            crop, pose = first_pose(points, self._own_five, self._template, camera)
            unknowns, steps = np.concatenate([np.zeros(count), pose.angles, pose.translation]), FIRST_STEPS
        else:
            # In the crop around the last frame's head, that head has no translation.
            crop, steps = crop_at(camera, self._place), STEPS
            unknowns = np.concatenate([self._last[: count + 3], np.zeros(3)])
        in_crop = points @ crop[:, :2].T + crop[:, 2]
        unknowns = self._fit(unknowns, in_crop, steps)
        projected = self._fit.project(unknowns)
        error = np.linalg.norm(projected - in_crop, axis=1).mean()
        if not error * REFERENCE_SIZE / camera.image_size[0] < LARGEST_ERROR:
            self._last = None
            self._find.forget()
            return None
        self._last, self._place = unknowns, place_in_frame(camera, unknowns[count + 3 :], crop)
        expression = self._smooth_expression(unknowns[:count], seconds)
        angles = self._smooth_angles(unknowns[count : count + 3], seconds)
        # Speed in decimetres a second, across; along the line of sight in shares of the size, which are similar.
        unit = np.array([np.exp(self._place[2]), np.exp(self._place[2]), 1.0])
        place = self._smooth_place(self._place, seconds, unit)
        gaze = self._found_gaze(unknowns[count:], in_crop, projected, crop, seconds)
        return TrackedFace(expression, angles, translation_in_crop(camera, place, crop), crop, gaze)

    def _found_gaze(
        self, pose: np.ndarray, points: np.ndarray, projected: np.ndarray, crop: np.ndarray, seconds: float
    ) -> np.ndarray | None:
        """The gaze [2] of a face with points found and projected [468, 2] in a crop, pose [6]."""
        if self._spheres is None:
            return None
        irises = self._find.irises @ crop[:, :2].T + crop[:, 2]
        found = find_gaze(self._spheres, points, irises, projected[CORNERS], pose[:3], pose[3:], self._camera)
        if found is not None:
            self._gaze = found
        return self._smooth_gaze(self._gaze, seconds)


def first_pose(
    points: np.ndarray, own_five: np.ndarray, template: np.ndarray, camera: Camera
) -> tuple[np.ndarray, Pose]:
    """The crop [2, 3] around a face that was found anew, and its pose there.

    Args:
      points: [468, 2] pixels of the frame.
      own_five: [5, 3] the face's five points, decimetres.
      template: [5, 3] those of the mean face.
      camera: camera of the crops.
    """
    five = five_points(points)
    scale, shift = fit_scale_shift(five * (1, -1), template)
    crop = crop_at(camera, np.array([shift[0], -shift[1], np.log(max(scale, 1e-3))]))
    return crop, solve_pose(five @ crop[:, :2].T + crop[:, 2], own_five, camera)
