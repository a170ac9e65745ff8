"""Draws one synthetic scene: face, head, hair and what is in front of them, with masks of what is seen."""

from dataclasses import dataclass

import numpy as np

from lib.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.mesh_renderer.visibility import visible_triangles
from lib.synthetic import compiled, occluders
from lib.synthetic.backgrounds import sample_background
from lib.synthetic.canonical import REGIONS, CanonicalFace
from lib.synthetic.eyes import glint
from lib.synthetic.hair import Hair, Scalp
from lib.synthetic.head import Head, Part, join
from lib.synthetic.imaging import reduce, soft_shoulder
from lib.synthetic.lights import Light, lamp_coefficients
from lib.synthetic.noise import noise
from lib.synthetic.pixels import Layer, read_layer
from lib.synthetic.sampling_priors import Moment, Person
from lib.synthetic.shadows import averaging, bake_occlusion, lit_share
from lib.synthetic.skin_detail import FIELDS, paint

SUBSURFACE_STEPS = 6
# Depth, in decimetres, that a landmark may lie behind the surface of its pixel and still count as seen.
LANDMARK_TOLERANCE = 0.05


@dataclass(frozen=True)
class Scene:
    """Everything that decides a picture but the surroundings' dice.

    Attributes:
      person, moment, light: what was drawn.
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


@dataclass(frozen=True)
class Picture:
    """What was drawn.

    Attributes:
      image: float32 [H, W, 3]; alpha: uint8 [H, W]; occluder: bool [H, W].
      depth: [H, W] of the nearest surface of the head, infinite in the background.
    """

    image: np.ndarray
    alpha: np.ndarray
    occluder: np.ndarray
    depth: np.ndarray

    def visible_at(self, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Whether points [M, 2] at some depth [M] are seen: inside, on the surface of their pixel, and not covered."""
        size = self.alpha.shape[0]
        inside = ((points >= 0) & (points < size)).all(1)
        column, row = np.clip(points.astype(int), 0, size - 1).T
        return inside & (depth < self.depth[row, column] + LANDMARK_TOLERANCE) & ~self.occluder[row, column]


@dataclass
class _Canvas:
    """Pixels being drawn, flat: colour [P, 3], depth, and which pixels show face or something before it."""

    colour: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    covered: np.ndarray


class PhotoRenderer:
    """Everything that is the same for all photos of one face model, and the drawing.

    Args:
      model: the face model; face: its canonical places.
      camera: of the final picture.
      settings: `photos.PhotoSettings`.
    """

    def __init__(self, model: FaceModel, face: CanonicalFace, camera: Camera, settings):
        self.model, self.face, self.settings = model, face, settings
        self.size = camera.image_size[0]
        side = self.size * settings.supersampling
        self.camera = Camera((side, side), camera.focal_ratio, camera.distance)
        self.head = Head(face, model.triangles)
        self.scalp = Scalp(face, model.triangles, self.head)
        self._smoothing = averaging(model.triangles, model.vertex_count)
        if settings.extra_light:
            mean = face.points.astype(np.float64)
            whole = join([Part(mean, model.triangles, mean), self.head.skull(mean[self.head.border])])
            normals = compiled.normals(whole.vertices, whole.triangles)
            baked = bake_occlusion(whole.vertices, normals, whole.triangles, model.vertex_count)
            self.occlusion = np.clip(self._smoothing @ baked, 0.05, 1)

    def render(self, scene: Scene, generator: np.random.Generator) -> Picture:
        """Draws the scene; the generator decides surroundings and occluders."""
        canonical = self.face.placement.to_canonical(scene.shape)
        side = self.camera.image_size[0]
        background = sample_background(generator, side)
        canvas = _Canvas(
            background.reshape(-1, 3) if self.settings.surroundings else np.zeros((side * side, 3), np.float32),
            np.full(side * side, np.inf, np.float32),
            np.zeros(side * side, bool),
            np.zeros(side * side, bool),
        )
        hair = self.scalp.grow(canonical, scene.person, scene.moment, generator) if self.settings.surroundings else None
        self._draw_head(canvas, scene, canonical, hair, generator)
        if hair is not None:
            self._draw_hair(canvas, scene, hair)
        solid = canvas.depth.reshape(side, side)
        if self.settings.occluders:
            self._draw_occluders(canvas, scene, canonical, generator)
        return self._picture(canvas, solid)

    def _picture(self, canvas: _Canvas, depth: np.ndarray) -> Picture:
        factor, side = self.settings.supersampling, self.camera.image_size[0]
        image = reduce(canvas.colour.reshape(side, side, 3).astype(np.float32), factor)
        seen = (canvas.face & ~canvas.covered).reshape(side, side).astype(np.float32)
        alpha = np.where(reduce(seen, factor) >= 0.5, 255, 0).astype(np.uint8)
        covered = reduce((canvas.face & canvas.covered).reshape(side, side).astype(np.float32), factor) >= 0.5
        nearest = depth.reshape(self.size, factor, self.size, factor).max((1, 3))
        if self.settings.extra_light:
            image = soft_shoulder(image)
        return Picture(image.astype(np.float32), alpha, covered & (alpha == 0), nearest)

    def _world(self, scene: Scene, points: np.ndarray) -> np.ndarray:
        """Canonical millimetres of the head to the world."""
        return self.face.placement.to_model(points) @ scene.rotation + scene.translation

    def _layer(self, vertices: np.ndarray, triangles: np.ndarray, attributes: np.ndarray) -> Layer:
        clip = compiled.clip_coordinates(self.camera, vertices)
        ids, _ = visible_triangles(clip, triangles, self.camera.image_size)
        return read_layer(ids[0], triangles, vertices, attributes, self.camera)

    def _lit(self, scene: Scene, normals: np.ndarray) -> np.ndarray:
        """Plain light [N, 3] on surfaces beside the face."""
        return np.maximum(compiled.shading(normals, scene.light.coefficients), 0.04)

    def _face_light(self, scene: Scene, canonical, skull: Part | None, hair: Hair | None) -> tuple[np.ndarray, np.ndarray]:
        """Light [N, 3] on the face with shadow, occlusion and scattering, and the share [N] of the main lamp."""
        if not self.settings.extra_light:
            return scene.shading, np.ones(len(canonical))
        lamp = scene.light.lamps[0]
        parts = [Part(canonical, self.model.triangles, canonical)]
        parts += [skull] if skull is not None else []
        whole = join(parts)
        share = lit_share(whole.vertices, whole.triangles, scene.rotation @ lamp.direction, spread=1 + int(2 * lamp.softness))
        share = share[: len(canonical)]
        normals = scene.normals
        for _ in range(SUBSURFACE_STEPS):
            normals = self._smoothing @ normals
        for _ in range(2 + int(5 * lamp.softness)):
            share = np.clip(self._smoothing @ share, 0, 1)
        soft = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        key = lamp_coefficients(lamp).T
        sharp_total, sharp_key = scene.shading, np.maximum(compiled.sh_basis(scene.normals) @ key, 0)
        soft_total = compiled.shading(soft, scene.light.coefficients)
        soft_key = np.maximum(compiled.sh_basis(soft) @ key, 0)
        # Red light travels furthest under the skin and softens most.
        blend = np.array([0.75, 0.40, 0.25])
        total = sharp_total + (soft_total - sharp_total) * blend
        direct = np.minimum(sharp_key + (soft_key - sharp_key) * blend, 0.95 * np.maximum(total, 0))
        depth = 1 - 0.85 * (1 - 0.3 * lamp.softness) * (1 - share[:, None]) ** np.array([1.12, 1.0, 0.97])
        occlusion = self.occlusion[:, None] ** np.array([0.78, 0.9, 0.96])
        light = np.maximum(total - direct, 0.02) * occlusion + direct * depth * (0.45 + 0.55 * occlusion)
        if hair is not None:
            count = len(self.scalp.ids)
            near = np.exp(np.minimum(hair.cover[:count], 0) / 6.0)
            light[self.scalp.ids] *= (1 - (0.38 if not hair.ragged < 2 else 0.18) * near)[:, None]
        return np.maximum(light, 0.015), share

    def _draw_head(self, canvas: _Canvas, scene: Scene, canonical, hair: Hair | None, generator) -> None:
        count = len(canonical)
        face = Part(canonical, self.model.triangles, self.face.points)
        parts, skull = [face], None
        if self.settings.surroundings:
            border = canonical[self.head.border]
            skull = self.head.skull(border)
            neck, collar = self.head.neck(border, scene.person.male, generator.uniform(0, 1), scene.rotation)
            parts += [skull, neck, collar]
            if not hair.covers_ears:
                parts.append(self.head.ears(border, generator.uniform(0, 1)))
        light, share = self._face_light(scene, canonical, skull, hair)
        whole = join(parts)
        vertices = self._world(scene, whole.vertices)
        normals = scene.normals
        colour, lights = scene.coarse, light
        if len(parts) > 1:
            others = compiled.normals(vertices[count:], whole.triangles[len(self.model.triangles) :] - count)
            others[: len(self.head.border)] = normals[self.head.border]
            normals = np.concatenate([normals, others])
            colours, dims = self._surroundings(scene, parts[1:], hair, generator)
            colour = np.concatenate([colour, colours])
            lights = np.concatenate([light, self._lit(scene, others) * dims[:, None]])
            lights[count : count + len(self.head.border)] = light[self.head.border]
        extra = len(vertices) - count
        regions = np.concatenate([self.face.regions, np.zeros((extra, len(REGIONS)))])
        fields = np.concatenate([scene.fields, np.zeros((extra, FIELDS))])
        shares = np.concatenate([share, np.ones(extra)])
        layer = self._layer(
            vertices, whole.triangles,
            np.column_stack([whole.places, normals, lights, colour, shares, fields, regions]),
        )  # fmt: skip
        canvas.depth[layer.pixels] = layer.depth
        on_face = layer.triangle < len(self.model.triangles)
        canvas.face[layer.pixels[on_face]] = True
        values = layer.values
        rest = ~on_face
        grain = 1 + 0.05 * noise(values[rest, :3], 9.0, scene.person.seed + 7, 3)[:, None]
        canvas.colour[layer.pixels[rest]] = values[rest, 9:12] * values[rest, 6:9] * grain
        canvas.colour[layer.pixels[on_face]] = self._face_colour(scene, values[on_face])

    def _face_colour(self, scene: Scene, values: np.ndarray) -> np.ndarray:
        """Colour [P, 3] of pixels on the face from the interpolated attributes."""
        places, normals, light, coarse, share = np.split(values[:, :13], [3, 6, 9, 12], axis=1)
        fields, regions = values[:, 13 : 13 + FIELDS], values[:, 13 + FIELDS :]
        if self.settings.detail:
            albedo, gloss = paint(self.face, places, coarse, regions, fields, scene.person, scene.moment)
        else:
            albedo, gloss = coarse, np.ones(len(coarse), np.float32)
        colour = albedo * light
        if not self.settings.extra_light:
            return colour
        lamp = scene.light.lamps[0]
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        half = lamp.direction + (0.0, 0.0, 1.0)
        cosine = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1)
        facing = np.clip(normals @ lamp.direction + 0.1, 0, 1)
        shine = (0.11 * cosine**9 + 0.13 * cosine**34) * facing * (1.15 - 0.5 * lamp.softness)
        grazing = 0.05 * np.clip(1 - normals[:, 2], 0, 1) ** 3
        shine = (shine * share[:, 0] * gloss + grazing * light.mean(1) * (regions[:, 0] < 0.5))[:, None]
        colour = colour + shine * (0.35 + 0.65 * lamp.colour / max(lamp.colour.max(), 1e-6)) * max(lamp.colour.max(), 0.2)
        eye = np.flatnonzero(regions[:, REGIONS.index("eye")] > 0.4)
        if len(eye):
            wet = glint(self.face, places[eye], normals[eye], lamp.direction, scene.moment)
            colour[eye] += (wet * np.clip(share[eye, 0] + 0.2, 0, 1))[:, None] * np.clip(lamp.colour, 0.25, 1)
        return colour

    def _surroundings(self, scene: Scene, parts: list[Part], hair: Hair, generator) -> tuple[np.ndarray, np.ndarray]:
        """Albedo [M, 3] and darkening [M] of skull, neck, collar and ears."""
        skin = scene.person.skin
        border = scene.coarse[self.head.border]
        rings = len(parts[0].vertices) // len(border)
        fade = np.linspace(0, 1, rings)[:, None, None] ** 0.5
        skull = (border * (1 - fade) + skin * 0.9 * fade).reshape(-1, 3)
        first = len(self.scalp.ids)
        # Under the hair the scalp is dark, so that gaps between strands are no windows.
        under = np.clip((hair.cover[first : first + len(skull)] + 2) / 4, 0, 1)[:, None]
        skull = skull + (0.5 * hair.colour - skull) * under
        neck = np.tile(skin * (0.93, 0.88, 0.87), (len(parts[1].vertices), 1))
        cloth = np.clip(generator.beta(1.2, 1.4) + generator.normal(0, 0.13, 3), 0.03, 0.92)
        collar = np.tile(cloth, (len(parts[2].vertices), 1))
        # The jaw shades the neck.
        y = parts[1].places[:, 1]
        front = np.clip((parts[1].places[:, 2] + 110) / 70, 0, 1)
        dims = [np.ones(len(skull)), 1 - front * 0.68 * np.exp(-np.clip(-66 - y, 0, None) / 24), np.ones(len(collar))]
        colours = [skull, neck, collar]
        if len(parts) > 3:
            depth = parts[3].places[:, 2]
            colours.append(skin * (1.02, 0.88, 0.85) * np.ones((len(depth), 1)))
            dims.append(np.clip(0.92 + depth * 0.10, 0.35, 1.08))
        return np.concatenate(colours), np.concatenate(dims)

    def _draw_hair(self, canvas: _Canvas, scene: Scene, hair: Hair) -> None:
        vertices = self._world(scene, hair.part.vertices)
        normals = compiled.normals(vertices, hair.part.triangles)
        lit = self._lit(scene, normals)
        layer = self._layer(
            vertices, hair.part.triangles, np.column_stack([hair.cover, hair.flow, hair.part.places, normals, lit])
        )
        near = layer.depth < canvas.depth[layer.pixels] + 0.004
        values, pixels = layer.values[near], layer.pixels[near]
        flow = np.column_stack([values[:, 1:3], np.zeros(len(values), np.float32)])
        seed = scene.person.seed + 71
        coarse = noise(flow, (7.0, 70.0, 1.0), seed, 2)
        fine = noise(flow, (1.3, 34.0, 1.0), seed + 1, 2)
        ends = noise(flow, (1.0, 160.0, 1.0), seed + 2, 2)
        # Locks of a few strands each, thinning out over the last millimetres.
        # At the outline of the head they would leave holes, so only those that face the camera are cut.
        ragged = hair.ragged * np.clip(2.2 * values[:, 8], 0.1, 1)
        inside = values[:, 0] + ragged * (0.55 * ends + 0.55 * coarse)
        opacity = np.clip(inside / (0.4 + 0.55 * hair.ragged) + 0.5, 0, 1)
        shown = opacity > 0.02
        values, pixels, coarse, fine, opacity = values[shown], pixels[shown], coarse[shown], fine[shown], opacity[shown]
        normal, light = values[:, 6:9], values[:, 9:12]
        if hair.cloth:
            weave = 1 + 0.05 * noise(values[:, 3:6], 1.4, seed + 3) + 0.10 * noise(values[:, 3:6], (22.0, 40.0, 22.0), seed + 4, 2)
            colour = hair.colour * light * weave[:, None]
        else:
            texture = np.clip(1 + 0.30 * fine + 0.22 * coarse, 0.25, 2)
            colour = hair.colour * light * texture[:, None]
            half = scene.light.lamps[0].direction + (0.0, 0.35, 1.0)
            band = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1)
            shine = (0.16 * band**14 * np.clip(0.7 + 0.8 * fine, 0, 2))[:, None]
            colour = colour + shine * (0.45 + 0.55 * hair.colour) * np.clip(scene.light.lamps[0].colour, 0, 1)
        edge = np.clip((values[:, 0] + 1) / 9, 0, 1)[:, None] if not hair.cloth else 1.0
        colour = colour * (0.62 + 0.38 * edge)
        if hair.ragged < 2 and not hair.cloth and hair.colour.mean() > 0.5 * scene.person.skin.mean():
            # Shaved or bald: stubble lets the skin through.
            opacity = 0.55 * np.clip((values[:, 0] + 3) / 10, 0, 1)
        canvas.colour[pixels] += (colour - canvas.colour[pixels]) * opacity[:, None]
        solid = pixels[opacity > 0.5]
        canvas.depth[solid] = layer.depth[near][shown][opacity > 0.5]
        canvas.covered[solid] = True

    def _draw_occluders(self, canvas: _Canvas, scene: Scene, canonical, generator) -> None:
        side = self.camera.image_size[0]
        marks = canonical[self.model.landmarks]
        pixels = compiled.project(self.camera, scene.vertices[self.model.landmarks])
        roll = generator.random(4)
        things = occluders.glasses(self.face, canonical, marks, generator) if roll[0] < 0.17 else []
        if roll[1] < 0.07:
            things.append(occluders.hand(self.face, canonical, scene.person.skin, generator))
        for thing in things:
            self._draw_accessory(canvas, scene, thing)
        bald = scene.moment.hair_style in ("bald", "shaved", "beanie", "scarf")
        if roll[2] < 0.10 and not bald:
            mask = occluders.draw_strands(side, pixels, generator, int(generator.integers(3, 20))).reshape(-1, 1)
            colour = scene.person.hair * np.clip(canvas.colour.mean(1, keepdims=True) * 2 + 0.2, 0.3, 1.1)
            canvas.colour += (colour - canvas.colour) * mask
            canvas.covered |= mask[:, 0] > 0.5
        if roll[3] < 0.06:
            mask, colour = occluders.draw_object(side, pixels, generator)
            canvas.colour += (colour.reshape(-1, 3) - canvas.colour) * mask.reshape(-1, 1)
            canvas.covered |= mask.ravel() > 0.5

    def _draw_accessory(self, canvas: _Canvas, scene: Scene, thing: occluders.Accessory) -> None:
        vertices = self._world(scene, thing.part.vertices)
        normals = thing.normals @ scene.rotation
        layer = self._layer(vertices, thing.part.triangles, np.column_stack([normals, self._lit(scene, normals)]))
        near = layer.depth < canvas.depth[layer.pixels]
        pixels, values = layer.pixels[near], layer.values[near]
        half = scene.light.lamps[0].direction + (0.0, 0.0, 1.0)
        cosine = np.clip(values[:, :3] @ (half / np.linalg.norm(half)), 0, 1)
        colour = thing.colour * values[:, 3:6] + (thing.gloss * 0.35 * cosine**30)[:, None]
        canvas.colour[pixels] += (colour - canvas.colour[pixels]) * thing.opacity
        if thing.opacity > 0.3:
            canvas.covered[pixels] = True
