"""Canonical coordinates for all face models: millimetres on the mean face, aligned by eyes and mouth.

Freckles, brows, beards and hairlines are defined in these coordinates (x to the right of the image, y up with the eyes
at 37 and the mouth at -31, z out of the face), independent of the face model.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from lib.face_image.alignment import FIVE_FROM_68
from lib.face_model.face_model import FaceModel

EYE_HEIGHT, MOUTH_HEIGHT = 37.2, -31.5
EYE_DISTANCE = 62.6
# Polygons of the 68 landmarks, in order along the outline.
EYES = (tuple(range(36, 42)), tuple(range(42, 48)))
BROWS = (tuple(range(17, 22)), tuple(range(22, 27)))
LIPS = tuple(range(48, 60))
REGIONS = ("eye", "lips", "mouth_inside", "teeth", "lash", "brow", "nostril")


@dataclass(frozen=True)
class Placement:
    """Conversion between model decimetres and canonical millimetres: a scale and a shift."""

    scale: float
    shift: np.ndarray

    def to_canonical(self, points: np.ndarray) -> np.ndarray:
        return points * self.scale + self.shift

    def to_model(self, points: np.ndarray) -> np.ndarray:
        return (points - self.shift) / self.scale


class CanonicalFace:
    """A face model's mean face in canonical millimetres, with the regions needed for details.

    Attributes:
      placement: conversion between canonical millimetres and the model's decimetres.
      points: [N, 3] the mean face.
      landmarks: [68, 3].
      regions: [N, len(REGIONS)] weights, from the model's regions if it has them, otherwise from its landmarks.
      parts: names of `REGIONS` that triangles of the model itself cover, such as eyeballs.
      eye_centres: [2, 2] x and y of the irises at rest; eye at the image's left first.
    """

    def __init__(self, model: FaceModel):
        five = FIVE_FROM_68 @ model.mean_shape[model.landmarks]
        scale = EYE_DISTANCE / float(five[1, 0] - five[0, 0])
        middle = five[[0, 1]].mean(0) * scale
        mouth = five[[3, 4]].mean(0) * scale
        height = 0.5 * (EYE_HEIGHT - middle[1] + MOUTH_HEIGHT - mouth[1])
        tip = five[2] * scale
        self.placement = Placement(scale, np.array([-middle[0], height, 36.0 - tip[2]]))
        self.points = self.placement.to_canonical(model.mean_shape).astype(np.float32)
        self.landmarks = self.points[model.landmarks]
        covered = {name: (inside > 0.5)[model.triangles].all(axis=1).any() for name, inside in model.regions.items()}
        self.parts = frozenset(name for name in REGIONS if covered.get(name))
        regions = [self._region(model, name) for name in REGIONS]
        self.regions = np.stack(regions, axis=1).astype(np.float32)
        self.eye_centres = np.array([self._eye_centre(model, i) for i in range(2)])

    @cached_property
    def brow_curves(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y [5] along the brow at the subject's left, from the nose outwards, both brows averaged."""
        right, left = self.landmarks[list(BROWS[0])][::-1], self.landmarks[list(BROWS[1])]
        return 0.5 * (left[:, 0] - right[:, 0]), 0.5 * (left[:, 1] + right[:, 1])

    def _region(self, model: FaceModel, name: str) -> np.ndarray:
        if name in model.regions:
            return model.regions[name]
        if name == "eye":
            return np.maximum(*(self._inside(polygon, 0.6) for polygon in EYES))
        if name == "lips":
            return self._inside(LIPS, 0.8)
        return np.zeros(model.vertex_count)

    def _inside(self, polygon: tuple[int, ...], softness: float) -> np.ndarray:
        outline = self.landmarks[list(polygon), :2].reshape(-1, 1, 2)
        distance = np.full(len(self.points), -1e3)
        near = np.flatnonzero(
            (np.abs(self.points[:, :2] - outline.mean(0)) < np.ptp(outline, axis=0) + 2).all(1)
            & (self.points[:, 2] > -30)
        )
        distance[near] = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in self.points[near, :2]]
        return 1 / (1 + np.exp(-np.clip(distance / softness, -30, 30)))

    def _eye_centre(self, model: FaceModel, side: int) -> np.ndarray:
        centre = self.landmarks[list(EYES[side]), :2].mean(0)
        if "iris" in model.regions:
            weight = model.regions["iris"] * (self.points[:, 0] * centre[0] > 0)
            if weight.any():  # a model's region may leave out an eye
                return (self.points[:, :2] * weight[:, None]).sum(0) / weight.sum()
        return centre
