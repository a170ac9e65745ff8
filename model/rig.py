"""Rigs of reconstructed faces: the neutral person with morph targets, textured, with eyes that turn."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import BlendShapes
from lib.geometry.rotation import rotation_matrix
from lib.mesh_export.gltf import Material
from lib.mesh_export.rig import RigMotion, RigPart, write_rig
from lib.mesh_export.rig_parts import EYES, TEETH, HeadPart, ball_centre, head_parts
from lib.mesh_export.usdz import write_usdz
from lib.mesh_export.uv_chart import ChartRaster, UvChart, tangents
from model.gaze import eye_quaternions
from model.morphable_model import MorphableModel

# Growth of the area around a vertex from which the photo's colours begin to give way, and where they are gone.
LEAST_STRETCH, FULL_STRETCH = 3.0, 6.0
# Morph targets whose normals are computed together.
TARGETS_AT_ONCE = 8
WRITERS = {".glb": write_rig, ".usdz": write_usdz}


class RigWriter:
    """Writes rigs of people of one face model.

    Args:
      morphable: the face model.
      chart: its texture chart.

    Raises:
      UserError: the face model has no expressions with known names.
    """

    def __init__(self, morphable: MorphableModel, chart: UvChart):
        model = morphable.face_model
        self.morphable, self.chart = morphable, chart
        self.blend_shapes = BlendShapes.of(model)
        self.moves = self.blend_shapes.displacements(model)
        self.parts = head_parts(model.mean_shape, model.triangles, model.regions)
        self.mouth = _mouth(model, self.parts)

    def __call__(
        self,
        paths: Sequence[Path],
        identity: np.ndarray,
        expression: np.ndarray,
        gaze: np.ndarray | None,
        material: Material,
        motion: RigMotion | None = None,
        lift: np.ndarray | float = 0.0,
    ) -> None:
        """Writes the rig of a person.

        Args:
          paths: the files, .glb and .usdz.
          identity: [Ki] coefficients.
          expression: [Ke] coefficients, with which the file opens.
          gaze: [2] with which it opens, see `model.gaze`; None for straight ahead.
          material: textures on the chart.
          motion: an animation, see `motion`.
          lift: [N, 3] decimetres that hair adds to the shape.
        """
        neutral = self.morphable.shape(tf.constant(identity[None]), tf.zeros([1, len(expression)])) + lift
        vertices, normals = neutral[0].numpy(), self.morphable.normals(neutral)[0].numpy()
        # A few at a time: the normals of all targets at once would take hundreds of megabytes.
        groups = (self.moves[start : start + TARGETS_AT_ONCE] for start in range(0, len(self.moves), TARGETS_AT_ONCE))
        turned = np.concatenate([self.morphable.normals(neutral + moves).numpy() for moves in groups])
        frames = None if material.normals is None else tangents(self.chart, vertices, normals)
        parts = [self._part(part, vertices, normals, turned, frames) for part in self.parts]
        turns = {} if gaze is None else self._eye_turns(identity, gaze[None])
        parts = [dataclasses.replace(part, turn=turns[part.name][0]) if part.name in turns else part for part in parts]
        weights = self.blend_shapes.weights(expression)
        for path in paths:
            WRITERS[path.suffix](path, parts, self.blend_shapes.names, weights, material, motion)

    def texture(
        self, albedo: np.ndarray, raster: ChartRaster, own: np.ndarray, identity: np.ndarray, expression: np.ndarray
    ) -> np.ndarray:
        """The albedo texture with the face model's own colours where the photo's would be stretched.

        The photo shows a closed mouth's inside hardly or not at all, and what it shows between the lips would be
        stretched over gums, tongue and throat when the jaw opens; likewise the lashes over a lid that closes. Teeth
        that are a part of their own keep the photo's colours.

        Args:
          albedo: uint8 [T, T, 3] baked texture.
          raster: of the texture's chart.
          own: [N, 3] albedo of the face model's coefficients.
          identity, expression: [Ki] and [Ke] coefficients of the face in the photo.
        """
        stretched = np.clip(
            (self._stretch(identity, expression) - LEAST_STRETCH) / (FULL_STRETCH - LEAST_STRETCH), 0, 1
        )
        weight = raster.dilate(raster.interpolate(np.maximum(self.mouth, stretched)[:, None]))
        inside = raster.dilate(raster.interpolate(np.clip(own, 0, 1)))
        return np.rint(albedo + weight * (255 * inside - albedo)).astype(np.uint8)

    def _stretch(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """[N] largest ratio of the area around a vertex at a target's weight 1 to that in the photo."""
        model = self.morphable.face_model
        neutral = self.morphable.shape(tf.constant(identity[None]), tf.zeros([1, len(expression)]))[0].numpy()
        shown = neutral + np.tensordot(self.blend_shapes.weights(expression), self.moves, 1)
        before = np.maximum(_areas(shown, model.triangles), 1e-9)
        ratios = np.max([_areas(neutral + move, model.triangles) / before for move in self.moves], axis=0)
        largest = np.zeros(model.vertex_count)
        np.maximum.at(largest, model.triangles, ratios[:, None])
        return largest

    def motion(self, coefficients: np.ndarray, gaze: np.ndarray, seconds: Sequence[float]) -> RigMotion:
        """The expressions and the rotations of head and eyes in the frames of a video.

        Args:
          coefficients: [F, K]; the first frame gives the identity.
          gaze: [F, 2], see `model.gaze`.
          seconds: [F] times of the frames.
        """
        from scipy.spatial.transform import Rotation  # slow to import, and needed only for videos

        parts = self.morphable.layout.split(coefficients)
        # `rotation_matrix` is for row vectors.
        matrices = np.swapaxes(rotation_matrix(tf.constant(parts.angles)).numpy(), 1, 2)
        rotations = Rotation.from_matrix(matrices).as_quat(canonical=True)
        # q and -q are the same rotation; interpolation must not go the long way round.
        turns = np.sign((rotations[1:] * rotations[:-1]).sum(axis=1))
        rotations[1:] *= np.cumprod(np.where(turns == 0, 1, turns))[:, None]
        return RigMotion(
            np.asarray(seconds, np.float64),
            self.blend_shapes.weights(parts.expression),
            rotations,
            self._eye_turns(parts.identity[0], gaze),
        )

    def _eye_turns(self, identity: np.ndarray, gaze: np.ndarray) -> dict[str, np.ndarray]:
        """Eye -> [F, 4] quaternions of its node for gazes [F, 2]; empty if none of the eyes turns, see `Eyeballs`."""
        if self.morphable.eyes is None:
            return {}
        radii = self.morphable.eyes.person(identity).radii
        return {name: eye_quaternions(gaze, radius) for name, radius in zip(EYES, radii, strict=True)}

    def _part(
        self, part: HeadPart, vertices: np.ndarray, normals: np.ndarray, turned: np.ndarray, frames: np.ndarray | None
    ) -> RigPart:
        """One part of the person with vertices and normals [N, 3], normals at each target's weight 1 [T, N, 3]."""
        used, triangles = np.unique(self.chart.triangles[part.triangles], return_inverse=True)
        vertex = self.chart.vertex[used]
        return RigPart(
            name=part.name,
            vertices=vertices[vertex],
            normals=normals[vertex],
            triangles=triangles.reshape(-1, 3),
            uv=self.chart.uv[used],
            moves=self.moves[:, vertex],
            moved_normals=turned[:, vertex],
            tangents=None if frames is None else frames[used],
            pivot=ball_centre(vertices[part.round]) if len(part.round) else None,
        )


def _areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[F] areas of triangles, doubled."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _mouth(model: FaceModel, parts: list[HeadPart]) -> np.ndarray:
    """[N] in [0, 1]: vertices inside the mouth, without teeth that are a part of their own."""
    none = np.zeros(model.vertex_count, np.float32)
    mouth = np.maximum(model.regions.get("mouth_inside", none), model.regions.get("teeth", none)).copy()
    for part in parts:
        if part.name == TEETH:
            mouth[model.triangles[part.triangles]] = 0
    return mouth
