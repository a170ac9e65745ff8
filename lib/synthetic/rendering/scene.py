"""Data of one rendering: the settings and the scene (inputs), the canvas, and the picture (result)."""

from dataclasses import dataclass

import numpy as np

from lib.synthetic.appearance.sampling_priors import Moment, Person
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.lights import Light

# Maximum depth [dm] of a visible landmark behind the surface at its pixel.
LANDMARK_TOLERANCE = 0.05


@dataclass(frozen=True)
class PhotoSettings:
    """The contents of a synthetic photo beyond the face model; switch parts off to test the others.

    Attributes:
      photos_per_identity: consecutive indices that show the same person.
      supersampling: samples per pixel and axis.
      detail: colour beyond the albedo basis.
      extra_light: cast shadows, occlusion, highlights, scattering.
      surroundings: head, hair, neck and background.
      occluders: glasses, hands, strands and objects on a third of the photos.
      covers: the occluders of `lib.synthetic.occlusion.covers` on most photos, for training the mask decoder.
      imaging: blur, noise, exposure and JPEG.
    """

    photos_per_identity: int = 4
    supersampling: int = 2
    detail: bool = True
    extra_light: bool = True
    surroundings: bool = True
    occluders: bool = True
    covers: bool = False
    imaging: bool = True

    def __post_init__(self):
        for name in ("photos_per_identity", "supersampling"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Scene:
    """Everything that determines a picture, except the random choices for its surroundings.

    Attributes:
      person, moment, light: as sampled.
      shape: [N, 3] before the pose; vertices: [N, 3] world; decimetres.
      rotation: [3, 3] for row vectors; translation: [3].
      normals, shading, coarse: [N, 3] world normals, plain shading and coarse albedo.
      fields: [N, FIELDS] slow variations of the skin.
    """

    person: Person
    moment: Moment
    light: Light
    shape: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    shading: np.ndarray
    coarse: np.ndarray
    fields: np.ndarray

    def posed(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 3] of the unposed head in the world; decimetres."""
        return points @ self.rotation + self.translation

    def plain_light(self, normals: np.ndarray) -> np.ndarray:
        """Light [N, 3] without shadows on surfaces with these world normals [N, 3], other than the face."""
        return np.maximum(compiled.shading(normals, self.light.coefficients), 0.04)


@dataclass(frozen=True)
class Picture:
    """A finished drawing.

    Attributes:
      image: float32 [H, W, 3]; alpha: uint8 [H, W]; occluder: bool [H, W].
      depth: [H, W] of the surface of the head that is seen, where it is farthest in the pixel; infinite in the
        background.
    """

    image: np.ndarray
    alpha: np.ndarray
    occluder: np.ndarray
    depth: np.ndarray

    def visible_at(self, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Bool [M]: whether points [M, 2] at depths [M] are inside the picture, on the nearest surface, uncovered."""
        size = self.alpha.shape[0]
        inside = ((points >= 0) & (points < size)).all(1)
        column, row = np.clip(points.astype(int), 0, size - 1).T
        return inside & (depth < self.depth[row, column] + LANDMARK_TOLERANCE) & ~self.occluder[row, column]


@dataclass
class Canvas:
    """Flat pixel buffers: colour [P, 3], depth, and masks of pixels that show the face or an occluder."""

    colour: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    covered: np.ndarray
