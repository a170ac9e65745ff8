"""Faces at given landmarks, and whether the photo shows them there.

Other orders than this program's, other frames and photos of another size may place a face that is right in itself on
its side or beside the photo's. The network of 468 points settles on a face near the given five points: if it is sure
of a face elsewhere, or sees none, the other orders are tried. If none fits, the points are refused only if the
detector explains why they are wrong. Otherwise the user is believed: neither network knows every profile, painting and
mask. So is one who marks a person in a group, where moved points may always fall on another person.
"""

import numpy as np

from lib.face_image.alignment import TARGET_SCALE, fit_scale_shift, five_points
from lib.face_image.detection import Face, detect_confident_faces, same_face
from lib.face_image.quality import Unusable
from lib.face_mesh.groups import POINTS
from lib.face_mesh.network import find_mesh_points
from lib.face_model.face_model import LANDMARKS
from lib.sidecar.sidecar_files import FAULT, GivenLandmarks

# Up to this mean distance of the five points from where the network sees them, pixels of 224, no other order is tried.
# Right ones are 1 to 5 off, wrong ones of which the network is sure 9 to 160.
APART = 8.0
# Up to this distance from a detected face, points are believed: of 24 real annotations, two are 9 and 10 off.
ROUGH = 15.0
# Largest mean distance of points that are a detected face's, scaled or shifted, from these.
COPIED = 4.0


class GivenFaces:
    """Places the faces of photos at given landmarks.

    Args:
      template: [5, 3] the five points on the mean face, model units (decimetres).
      min_confidence: detections below it are ignored.
    """

    def __init__(self, template: np.ndarray, min_confidence: float):
        self._template, self._min_confidence = template, min_confidence

    def __call__(self, photo: np.ndarray, given: GivenLandmarks) -> tuple[Face, str]:
        """The face of a photo, uint8 [H, W, 3 or 4], and a remark on what was changed in its landmarks.

        Raises:
          Unusable: the photo's face is elsewhere.
        """
        pixels = np.ascontiguousarray(photo[..., :3])
        apart, seen = self._apart(pixels, given)
        if apart <= APART and seen:
            return given_face(given), given.remark
        detected = self._detected(pixels, given.file)
        if len(detected) > 1:  # which of several the points are to be compared with, only the user knows
            return given_face(given), given.remark
        others = [(*self._apart(pixels, other), other) for other in given.others]
        fitting = [(distance, other) for distance, sure, other in others if sure and distance <= APART]
        if fitting:
            _, given = min(fitting, key=lambda pair: pair[0])
            return given_face(given), given.remark
        if detected:
            self._check_elsewhere(given_face(given), detected[0], overlapping=seen)
        return given_face(given), given.remark

    def _apart(self, pixels: np.ndarray, given: GivenLandmarks) -> tuple[float, bool]:
        """How far the points are from where the network sees them, pixels of 224, and whether it sees a face there."""
        five = five_points(given.points)
        if not self._scale(five) >= 1:  # too small for any face
            return np.inf, False
        found = find_mesh_points(pixels, five)
        return self._distance(five, five_points(found.points)), found.is_face

    def _detected(self, pixels: np.ndarray, file: str) -> list[Face]:
        try:
            return detect_confident_faces(pixels, file, self._min_confidence)
        except Unusable:
            return []

    def _check_elsewhere(self, face: Face, found: Face, overlapping: bool) -> None:
        """Refuses a face of which the only detected one is a scaled or shifted copy, or that is off it on top of it."""
        distance = self._distance(face.points, found.points)
        if distance <= ROUGH:
            return
        change = self._change(face.points, found.points)
        if change or (overlapping and same_face(face, found)):
            raise Unusable(
                FAULT,
                f"{face.given}: points must lie on the photo's face, got points {distance:.0f} px of 224 beside it"
                f"{change} (correct them, or delete the file to have the face found)",
            )

    def _change(self, given: np.ndarray, found: np.ndarray) -> str:
        """The scale or shift that brings given points to a detected face's, for a message; empty if there is none."""
        scale = float((given * found).sum() / (given * given).sum())
        if scale > 0 and self._distance(given * scale, found) <= COPIED:
            return f"; they fit if multiplied by {scale:.2f}, as points of the photo at another size do"
        shift = (found - given).mean(axis=0)
        if self._distance(given + shift, found) <= COPIED:
            by = f"({shift[0]:.0f}, {shift[1]:.0f}) px"
            return f"; they fit if shifted by {by}, as points of another part of the photo do"
        return ""

    def _distance(self, points: np.ndarray, found: np.ndarray) -> float:
        """Mean distance of five points from found ones, pixels of 224 at the size of the found face."""
        return float(np.linalg.norm(points - found, axis=1).mean() * TARGET_SCALE / max(self._scale(found), 1e-6))

    def _scale(self, five: np.ndarray) -> float:
        """Pixels of the photo per decimetre."""
        return fit_scale_shift(five * (1, -1), self._template)[0]


def given_face(given: GivenLandmarks) -> Face:
    """Face at given landmarks, with a box about as large as a detector's."""
    points, count = five_points(given.points), len(given.points)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    side = 2.5 * max(np.linalg.norm(mouth - eyes), np.linalg.norm(points[1] - points[0]))
    corner = (eyes + mouth) / 2 - side / 2
    return Face(
        box=np.array([*corner, side, side]),
        points=points,
        confidence=1.0,
        given=given.file,
        landmarks=given.points if count == LANDMARKS else None,
        mesh=given.points if count == POINTS else None,
    )
