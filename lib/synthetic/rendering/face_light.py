"""Light on a synthetic face beyond spherical harmonics: cast shadows, occlusion, subsurface scattering."""

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.head import Head, Part, join
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.lights import lamp_coefficients
from lib.synthetic.rendering.scene import Scene
from lib.synthetic.rendering.shadows import averaging, bake_occlusion, lit_share

SUBSURFACE_STEPS = 6
# Per channel: red light scatters furthest under the skin, so the red channel mostly uses smoothed normals and has less
# shadow and shallower folds.
SCATTERING = np.array([0.75, 0.40, 0.25])
SHADOW_POWER = np.array([1.12, 1.0, 0.97])
OCCLUSION_POWER = np.array([0.78, 0.9, 0.96])
DARKEST = 0.015


class FaceLight:
    """Occlusion of one face model's mean face, and the light on any of its faces.

    Attributes:
      occlusion: [N] share of a uniform sky visible from the vertices of the mean face.
    """

    def __init__(self, model: FaceModel, face: CanonicalFace, head: Head):
        self.model = model
        self._smoothing = averaging(model.triangles, model.vertex_count)
        mean = face.points.astype(np.float64)
        whole = join([Part(mean, model.triangles, mean), head.skull(mean[head.border])])
        normals = compiled.normals(whole.vertices, whole.triangles)
        baked = bake_occlusion(whole.vertices, normals, whole.triangles, model.vertex_count)
        self.occlusion = np.clip(self._smoothing @ baked, 0.05, 1)

    def on(self, scene: Scene, canonical: np.ndarray, skull: Part | None) -> tuple[np.ndarray, np.ndarray]:
        """Computes the light on the face of a scene.

        Args:
          scene: the scene.
          canonical: [N, 3] its face in canonical millimetres, unposed.
          skull: casts shadows in addition to the face.

        Returns:
          light [N, 3] and the share [N] of the first lamp that arrives.
        """
        lamp = scene.light.lamps[0]
        whole = join([Part(canonical, self.model.triangles, canonical), *([] if skull is None else [skull])])
        towards = scene.rotation @ lamp.direction
        share = lit_share(whole.vertices, whole.triangles, towards, spread=1 + int(2 * lamp.softness))[: len(canonical)]
        for _ in range(2 + int(5 * lamp.softness)):
            share = np.clip(self._smoothing @ share, 0, 1)
        soft = scene.normals
        for _ in range(SUBSURFACE_STEPS):
            soft = self._smoothing @ soft
        soft = soft / np.maximum(np.linalg.norm(soft, axis=1, keepdims=True), 1e-6)
        key = lamp_coefficients(lamp).T
        sharp_key = np.maximum(compiled.sh_basis(scene.normals) @ key, 0)
        soft_key = np.maximum(compiled.sh_basis(soft) @ key, 0)
        soft_total = compiled.shading(soft, scene.light.coefficients)
        total = scene.shading + (soft_total - scene.shading) * SCATTERING
        direct = np.minimum(sharp_key + (soft_key - sharp_key) * SCATTERING, 0.95 * np.maximum(total, 0))
        shadow = 1 - 0.85 * (1 - 0.3 * lamp.softness) * (1 - share[:, None]) ** SHADOW_POWER
        occlusion = self.occlusion[:, None] ** OCCLUSION_POWER
        light = np.maximum(total - direct, 0.02) * occlusion + direct * shadow * (0.45 + 0.55 * occlusion)
        return np.maximum(light, DARKEST), share
