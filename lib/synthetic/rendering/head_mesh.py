"""The mesh of a whole head for one photo: face, skull, neck, collar, ears, and surfaces behind open eyes and lips."""

from dataclasses import dataclass

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from lib.synthetic.appearance.hair import Hair, Scalp
from lib.synthetic.appearance.head import Head, Part, join
from lib.synthetic.appearance.openings import Openings
from lib.synthetic.appearance.skin_detail import FIELDS
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.face_light import FaceLight
from lib.synthetic.rendering.scene import PhotoSettings, Scene


@dataclass(frozen=True)
class HeadMesh:
    """One mesh: the face model's vertices and triangles first, then the rest of the head, then the fillings.

    Attributes:
      vertices: [N, 3] world, decimetres.
      triangles: [F, 3].
      face_triangles: number of triangles of the face model, at the start.
      filling_triangles: number of triangles that close holes of the face model, at the end.
      channels: values at the vertices by name:
        place [N, 3] canonical millimetres on the undeformed head; normal [N, 3] world; light [N, 3];
        albedo [N, 3] without detail; lamp_share [N] of the first lamp that arrives;
        fields [N, FIELDS] slow variations of the skin; regions [N, len(REGIONS)].
    """

    vertices: np.ndarray
    triangles: np.ndarray
    face_triangles: int
    filling_triangles: int
    channels: dict[str, np.ndarray]


class HeadBuilder:
    """Builds head meshes for one face model.

    Args:
      model: the face model; face: its canonical places.
      settings: of the photos; `extra_light` adds shadows and scattering to the face.

    Attributes:
      scalp: where hair may grow.
    """

    def __init__(self, model: FaceModel, face: CanonicalFace, settings: PhotoSettings):
        self.model, self.face = model, face
        self._head = Head(face, model)
        self.scalp = Scalp(face, model.triangles, self._head)
        self._openings = Openings(face, model.triangles)
        self._light = FaceLight(model, face, self._head) if settings.extra_light else None

    def build(self, scene: Scene, canonical: np.ndarray, hair: Hair | None, generator: np.random.Generator) -> HeadMesh:
        """Builds the head of one scene, or only the face if `hair` is None.

        Args:
          scene: the scene.
          canonical: [N, 3] its face in canonical millimetres, unposed.
          hair: decides whether ears show and how dark the scalp is.
          generator: of ears, neck and collar.
        """
        face = Part(canonical, self.model.triangles, self.face.points)
        surroundings = [] if hair is None else self._surroundings(scene, canonical, hair, generator)
        light, lamp_share = self._face_light(scene, canonical, hair, surroundings[0] if surroundings else None)
        channels = {
            "place": face.places,
            "normal": scene.normals,
            "light": light,
            "albedo": scene.coarse,
            "lamp_share": lamp_share,
            "fields": scene.fields,
            "regions": self.face.regions,
        }
        if hair is None:
            vertices = scene.posed(self.face.placement.to_model(canonical))
            return HeadMesh(vertices, face.triangles, len(face.triangles), 0, channels)

        albedo, shade = self._surrounding_colours(scene, surroundings, hair, generator)
        regions = np.zeros((len(albedo), len(REGIONS)))
        fillings = []
        if self._openings.count:
            filling, filling_albedo, filling_regions = self._openings.fill(canonical)
            fillings = [filling]
            albedo = np.concatenate([albedo, filling_albedo])
            shade = np.concatenate([shade, np.ones(len(filling_albedo))])
            regions = np.concatenate([regions, filling_regions])
        whole = join([face, *surroundings, *fillings])
        vertices = scene.posed(self.face.placement.to_model(whole.vertices))
        normals = self._surrounding_normals(scene, vertices, whole.triangles)
        # The skull begins with the border of the face and must not show where the two meet.
        border = self._head.border
        surrounding_light = scene.plain_light(normals) * shade[:, None]
        surrounding_light[: len(border)] = light[border]
        added = {
            "place": whole.places[len(canonical) :],
            "normal": normals,
            "light": surrounding_light,
            "albedo": albedo,
            "lamp_share": np.ones(len(albedo)),
            "fields": np.zeros((len(albedo), FIELDS)),
            "regions": regions,
        }
        channels = {name: np.concatenate([values, added[name]]) for name, values in channels.items()}
        filling_triangles = sum(len(part.triangles) for part in fillings)
        return HeadMesh(vertices, whole.triangles, len(face.triangles), filling_triangles, channels)

    def _surroundings(
        self, scene: Scene, canonical: np.ndarray, hair: Hair, generator: np.random.Generator
    ) -> list[Part]:
        """Skull, neck, collar and, where they show, ears."""
        border = canonical[self._head.border]
        neck, collar = self._head.neck(border, scene.person.male, generator.uniform(0, 1), scene.rotation)
        parts = [self._head.skull(border), neck, collar]
        if not hair.covers_ears:
            stand_off = generator.uniform(0, 1)
            if self._head.needs_ears:
                parts.append(self._head.ears(border, stand_off))
        return parts

    def _face_light(
        self, scene: Scene, canonical: np.ndarray, hair: Hair | None, skull: Part | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Light [N, 3] on the face, and the share [N] of the first lamp that arrives."""
        if self._light is None:
            return scene.shading, np.ones(len(canonical))
        light, lamp_share = self._light.on(scene, canonical, skull)
        if hair is not None:
            light[self.scalp.ids] *= hair.contact_shadow(len(self.scalp.ids))[:, None]
        return light, lamp_share

    def _surrounding_normals(self, scene: Scene, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """World normals [M, 3] of all that is not face; `vertices` and `triangles` are those of the whole head."""
        count = len(scene.vertices)
        normals = compiled.normals(vertices[count:], triangles[len(self.model.triangles) :] - count)
        normals[: len(self._head.border)] = scene.normals[self._head.border]
        return normals

    def _surrounding_colours(
        self, scene: Scene, parts: list[Part], hair: Hair, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Albedo [M, 3] and shade [M], a factor of the light, on skull, neck, collar and ears."""
        skin = scene.person.skin
        border = scene.coarse[self._head.border]
        rings = len(parts[0].vertices) // len(border)
        fade = np.linspace(0, 1, rings)[:, None, None] ** 0.5
        skull = (border * (1 - fade) + skin * 0.9 * fade).reshape(-1, 3)
        first = len(self.scalp.ids)
        # Under the hair the scalp is dark, so that it does not shine through between strands.
        under = np.clip((hair.shell.cover[first : first + len(skull)] + 2) / 4, 0, 1)[:, None]
        skull = skull + (0.5 * hair.colour - skull) * under
        neck = np.tile(skin * (0.93, 0.88, 0.87), (len(parts[1].vertices), 1))
        cloth = np.clip(generator.beta(1.2, 1.4) + generator.normal(0, 0.13, 3), 0.03, 0.92)
        collar = np.tile(cloth, (len(parts[2].vertices), 1))
        # The jaw shades the neck.
        y = parts[1].places[:, 1]
        front = np.clip((parts[1].places[:, 2] + 110) / 70, 0, 1)
        shade = [np.ones(len(skull)), 1 - front * 0.68 * np.exp(-np.clip(-66 - y, 0, None) / 24), np.ones(len(collar))]
        albedo = [skull, neck, collar]
        if len(parts) > 3:
            depth = parts[3].places[:, 2]
            albedo.append(skin * (1.02, 0.88, 0.85) * np.ones((len(depth), 1)))
            shade.append(np.clip(0.92 + depth * 0.10, 0.35, 1.08))
        return np.concatenate(albedo), np.concatenate(shade)
