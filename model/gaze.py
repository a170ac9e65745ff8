"""Where a face looks: found from its irises, as ARKit's weights, and as turned eyeballs.

A gaze is (yaw, pitch) of both eyes in the head's frame, radians: positive to the subject's left and up. Both eyes turn
by the same angles: the error of an iris is as large as the vergence of eyes that look at something near, and the mean
of both eyes cancels horizontal errors. Angles refer to human eyeballs. A face model's larger eyeballs turn by less, so
that the irises lie where they were seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.face_mesh.eyes import opening
from lib.face_mesh.groups import LEFT_EYE, RIGHT_EYE
from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import ARKIT
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_arrays
from lib.mesh_export.rig_parts import EYES, HeadPart, ball_centre, head_parts

# Points on the lids, and those at the corners among them; the subject's right eye first, as in `EYES`.
LIDS = np.array([LEFT_EYE, RIGHT_EYE])
CORNERS = LIDS[:, [0, 8]]
# Radius of a human eyeball, decimetres.
RADIUS = 0.12
# Angle at weight 1.
FULL = np.radians(30)
# Sine of the largest angle that is found.
FARTHEST = 0.9
# The iris of an eye that is open by less than this share of its width is not looked at: the network guesses it.
LEAST_OPEN = 0.18
# Weights in the order of `gaze_weights`: name without side -> (which angle, its sign for the left eye and the right).
_LOOKS = {"eyeLookDown": (1, -1, -1), "eyeLookIn": (0, -1, 1), "eyeLookOut": (0, 1, -1), "eyeLookUp": (1, 1, 1)}
NAMES = tuple(f"{name}{side}" for side in ("Left", "Right") for name in _LOOKS)


@dataclass(frozen=True)
class Spheres:
    """Centres [2, 3] of a person's eyeballs in the head's frame and their radii [2], dm; the right one first."""

    centres: np.ndarray
    radii: np.ndarray


class Eyeballs:
    """The eyeballs of a face model, which are pieces of its mesh.

    Args:
      model: the face model.
      parts: its eyes, the right one first.
    """

    def __init__(self, model: FaceModel, parts: list[HeadPart]):
        self.model = model
        self._rounds = [part.round for part in parts]
        self._rows = [np.unique(model.triangles[part.triangles]) for part in parts]

    @classmethod
    def of(cls, model: FaceModel) -> "Eyeballs | None":
        """None if the mesh has no eyeballs, or the model's own expressions turn them."""
        if any(name.startswith("eyeLook") for name in model.expression_names):
            return None
        parts = {part.name: part for part in head_parts(model.mean_shape, model.triangles, model.regions)}
        return cls(model, [parts[name] for name in EYES]) if parts.keys() >= set(EYES) else None

    def spheres(self, shape: np.ndarray) -> Spheres:
        """Of a face with vertices [N, 3]."""
        centres = np.stack([ball_centre(shape[rows]) for rows in self._rounds])
        apart = [shape[rows] - centre for rows, centre in zip(self._rounds, centres, strict=True)]
        return Spheres(centres, np.array([np.linalg.norm(one, axis=1).mean() for one in apart]))

    def person(self, identity: np.ndarray) -> Spheres:
        """Of a person with coefficients [Ki]; expressions do not move eyeballs."""
        return self.spheres(self.model.mean_shape + np.tensordot(identity, self.model.identity_basis, 1))

    def turned(self, shape: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        """[N, 3] vertices whose eyes look straight ahead, after the eyes turned to a gaze [2]."""
        turned, spheres = np.array(shape), self.spheres(shape)
        for rows, centre, radius in zip(self._rows, spheres.centres, spheres.radii, strict=True):
            turned[rows] = _rotated(shape[rows] - centre, eye_quaternions(gaze, radius)) + centre
        return turned


def find_gaze(
    spheres: Spheres,
    points: np.ndarray,
    irises: np.ndarray,
    corners: np.ndarray,
    angles: np.ndarray,
    translation: np.ndarray,
    camera: Camera,
) -> np.ndarray | None:
    """The gaze [2] of a posed face.

    The ray through an iris meets the eyeball where it looks. The eyeball is moved so that the corners of the eye are
    where they were seen: pose and shape are only right to some pixels, an iris moves by less.

    Args:
      spheres: the person's eyeballs.
      points: [468, 2] seen, pixels of the crop.
      irises: [2, 5, 2] seen, as in `MeshPoints`, pixels of the crop.
      corners: [2, 2, 2] projections of the points `CORNERS` of the fitted face.
      angles, translation: its pose.
      camera: of the crop.

    Returns:
      None if both eyes are closed or turned away.
    """
    rotation, eye = rotation_arrays(angles[None])[0], np.array([0, 0, camera.distance])
    height, width = camera.image_size
    seen = []
    for side in range(2):
        if not np.isfinite(irises[side]).all() or opening(points[LIDS[side]]) < LEAST_OPEN:
            continue
        x, y = irises[side, 0] - (points[CORNERS[side]] - corners[side]).mean(axis=0)
        ray = np.array([x - width / 2, height / 2 - y, -camera.focal_length])
        ray /= np.linalg.norm(ray)
        centre, radius = spheres.centres[side] @ rotation + translation, spheres.radii[side]
        towards = (centre - eye) @ ray  # distance to the point of the ray nearest to the centre
        nearest = eye + towards * ray - centre
        inside = np.sqrt(max(radius**2 - nearest @ nearest, 0.0))  # 0: the ray passes the ball
        seen.append(rotation @ (nearest - inside * ray))
    if not seen:
        return None
    across, up, _ = np.mean(seen, axis=0) / RADIUS
    pitch = np.arcsin(np.clip(up, -FARTHEST, FARTHEST))
    # Yaw turns the iris of an eye that looks up or down on a smaller circle.
    return np.array([np.arcsin(np.clip(across / np.cos(pitch), -FARTHEST, FARTHEST)), pitch])


def eye_quaternions(gaze: np.ndarray, radius: float) -> np.ndarray:
    """[..., 4] rotations x, y, z, w that move the iris of an eyeball of a radius [dm] as far as gazes [..., 2]."""
    yaw, pitch = np.moveaxis(np.asarray(gaze), -1, 0)
    lifted = np.arcsin(np.clip(np.sin(pitch) * RADIUS / radius, -1, 1))
    level = np.maximum(np.cos(lifted), np.finfo(np.float32).eps)  # 0: the iris is at the ball's pole
    aside = np.arcsin(np.clip(np.sin(yaw) * np.cos(pitch) * RADIUS / radius / level, -1, 1))
    across, up, turned, raised = (function(angle / 2) for function in (np.sin, np.cos) for angle in (aside, lifted))
    # The product of the turn about y and the one about x, which is negative upwards.
    return np.stack([-turned * up, across * raised, across * up, turned * raised], axis=-1) + 0.0  # no -0.0


def _rotated(points: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Points [P, 3] turned by a unit quaternion [4]: x, y, z, w."""
    axis, real = quaternion[:3], quaternion[3]
    return points + 2 * np.cross(axis, np.cross(axis, points) + real * points)


def gaze_weights(gaze: np.ndarray) -> dict[str, np.ndarray]:
    """ARKit's names `NAMES` -> weights [...] of gazes [..., 2]."""
    weights = {}
    for place, side in enumerate(("Left", "Right")):
        for name, (angle, *signs) in _LOOKS.items():
            weights[f"{name}{side}"] = np.maximum(signs[place] * gaze[..., angle] / FULL, 0)
    return weights


def with_gaze(weights: Mapping[str, np.ndarray], gaze: np.ndarray | None) -> dict[str, np.ndarray]:
    """ARKit's weights, in ARKit's order, with those of a gaze [..., 2], if there is one and there are any weights."""
    if gaze is None or not weights:
        return dict(weights)
    joined = {**weights, **gaze_weights(gaze)}
    return {name: joined[name] for name in ARKIT if name in joined}


def still_gaze(model: FaceModel) -> np.ndarray | None:
    """The gaze [2] straight ahead; None if the face model has no eyeballs to turn, see `Eyeballs.of`."""
    return None if Eyeballs.of(model) is None else np.zeros(2)


def look_displacements(eyes: Eyeballs) -> np.ndarray:
    """[8, N, 3] displacements of the mean face's vertices at weight 1 of each of `NAMES`, dm."""
    shape, moves = eyes.model.mean_shape, np.zeros([len(NAMES), *eyes.model.mean_shape.shape], np.float32)
    for place, side in enumerate(("Left", "Right")):
        for name, (angle, *signs) in _LOOKS.items():
            gaze = np.zeros(2)
            gaze[angle] = signs[place] * FULL
            change = eyes.turned(shape, gaze) - shape
            own = shape[:, 0] > 0 if side == "Left" else shape[:, 0] < 0
            moves[NAMES.index(f"{name}{side}")] = change * own[:, None]
    return moves
