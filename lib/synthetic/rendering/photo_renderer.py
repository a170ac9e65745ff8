"""Draws one synthetic scene: face, head, hair and what is in front of them, with masks of what is seen."""

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.mesh_renderer.visibility import visible_triangles
from lib.synthetic.appearance import occluders
from lib.synthetic.appearance.backgrounds import sample_background
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from lib.synthetic.appearance.eyes import glint
from lib.synthetic.appearance.hair import Hair, Scalp, Sheet
from lib.synthetic.appearance.head import Head, Part, join
from lib.synthetic.appearance.noise import noise
from lib.synthetic.appearance.openings import Openings
from lib.synthetic.appearance.skin_detail import FIELDS, paint
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.face_light import FaceLight
from lib.synthetic.rendering.imaging import reduce, soft_shoulder
from lib.synthetic.rendering.pixels import Layer, read_layer
from lib.synthetic.rendering.scene import Canvas, Picture, Scene

SUBSURFACE_STEPS = 6
# Depth, in decimetres, that a landmark may lie behind the surface of its pixel and still count as seen.
LANDMARK_TOLERANCE = 0.05


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
        self.openings = Openings(face, model.triangles)
        self.light = FaceLight(model, face, self.head) if settings.extra_light else None

    def render(self, scene: Scene, generator: np.random.Generator) -> Picture:
        """Draws the scene; the generator decides surroundings and occluders."""
        canonical = self.face.placement.to_canonical(scene.shape)
        side = self.camera.image_size[0]
        background = sample_background(generator, side)
        canvas = Canvas(
            background.reshape(-1, 3) if self.settings.surroundings else np.zeros((side * side, 3), np.float32),
            np.full(side * side, np.inf, np.float32),
            np.zeros(side * side, bool),
            np.zeros(side * side, bool),
        )
        hair = self.scalp.grow(canonical, scene.person, scene.moment, generator) if self.settings.surroundings else None
        self._draw_head(canvas, scene, canonical, hair, generator)
        if hair is not None:
            for sheet in (*hair.curtains, hair.shell):
                self._draw_hair(canvas, scene, hair, sheet)
        solid = canvas.depth.reshape(side, side)
        if self.settings.occluders:
            self._draw_occluders(canvas, scene, canonical, generator)
        return self._picture(canvas, solid)

    def _picture(self, canvas: Canvas, depth: np.ndarray) -> Picture:
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

    def _draw_head(self, canvas: Canvas, scene: Scene, canonical, hair: Hair | None, generator) -> None:
        count = len(canonical)
        face = Part(canonical, self.model.triangles, self.face.points)
        parts, skull = [face], None
        if self.settings.surroundings:
            border = canonical[self.head.border]
            skull = self.head.skull(border)
            neck, collar = self.head.neck(border, scene.person.male, generator.uniform(0, 1), scene.rotation)
            parts += [skull, neck, collar]
            if not hair.covers_ears:
                stand_off = generator.uniform(0, 1)
                if self.head.needs_ears:
                    parts.append(self.head.ears(border, stand_off))
        light, share = scene.shading, np.ones(count)
        if self.light is not None:
            light, share = self.light.on(scene, canonical, skull)
            if hair is not None:
                light[self.scalp.ids] *= hair.contact_shadow(len(self.scalp.ids))[:, None]
        fill, fill_colour, fill_regions = None, np.zeros((0, 3)), np.zeros((0, len(REGIONS)))
        if self.settings.surroundings and self.openings.count:
            fill, fill_colour, fill_regions = self.openings.fill(canonical)
        whole = join(parts if fill is None else [*parts, fill])
        vertices = self._world(scene, whole.vertices)
        normals = scene.normals
        colour, lights = scene.coarse, light
        if len(parts) > 1:
            others = compiled.normals(vertices[count:], whole.triangles[len(self.model.triangles) :] - count)
            others[: len(self.head.border)] = normals[self.head.border]
            normals = np.concatenate([normals, others])
            colours, dims = self._surroundings(scene, parts[1:], hair, generator)
            colour = np.concatenate([colour, colours, fill_colour])
            dims = np.concatenate([dims, np.ones(len(fill_colour))])
            lights = np.concatenate([light, self._lit(scene, others) * dims[:, None]])
            lights[count : count + len(self.head.border)] = light[self.head.border]
        extra = len(vertices) - count
        regions = np.concatenate([self.face.regions, np.zeros((extra - len(fill_regions), len(REGIONS))), fill_regions])
        fields = np.concatenate([scene.fields, np.zeros((extra, FIELDS))])
        shares = np.concatenate([share, np.ones(extra)])
        layer = self._layer(
            vertices, whole.triangles,
            np.column_stack([whole.places, normals, lights, colour, shares, fields, regions]),
        )  # fmt: skip
        canvas.depth[layer.pixels] = layer.depth
        on_face = layer.triangle < len(self.model.triangles)
        canvas.face[layer.pixels[on_face]] = True
        # Eyeballs and mouths behind holes are painted like the face but are none of the model's surface.
        filled = 0 if fill is None else len(fill.triangles)
        painted = on_face | (layer.triangle >= len(whole.triangles) - filled)
        values = layer.values
        rest = ~painted
        grain = 1 + 0.05 * noise(values[rest, :3], 9.0, scene.person.seed + 7, 3)[:, None]
        canvas.colour[layer.pixels[rest]] = values[rest, 9:12] * values[rest, 6:9] * grain
        canvas.colour[layer.pixels[painted]] = self._face_colour(scene, values[painted])

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
        half = lamp.halfway()
        cosine = np.clip(normals @ half, 0, 1)
        facing = np.clip(normals @ lamp.direction.astype(np.float32) + np.float32(0.1), 0, 1)
        shine = (0.11 * cosine**9 + 0.13 * cosine**34) * facing * (1.15 - 0.5 * lamp.softness)
        grazing = 0.05 * np.clip(1 - normals[:, 2], 0, 1) ** 3
        shine = (shine * share[:, 0] * gloss + grazing * light.mean(1) * (regions[:, 0] < 0.5))[:, None]
        strongest = max(float(lamp.colour.max()), 0.2)
        colour = colour + shine * (0.35 * strongest + 0.65 * lamp.colour).astype(np.float32)
        eye = np.flatnonzero(regions[:, REGIONS.index("eye")] > 0.4)
        if len(eye):
            wet = glint(self.face, places[eye], normals[eye], half, scene.moment)
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
        under = np.clip((hair.shell.cover[first : first + len(skull)] + 2) / 4, 0, 1)[:, None]
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

    def _draw_hair(self, canvas: Canvas, scene: Scene, hair: Hair, sheet: Sheet) -> None:
        vertices = self._world(scene, sheet.part.vertices)
        normals = compiled.normals(vertices, sheet.part.triangles)
        lit = self._lit(scene, normals)
        layer = self._layer(
            vertices,
            sheet.visible_triangles(1 + 1.5 * hair.ragged),
            np.column_stack([sheet.cover, sheet.flow, sheet.part.places, normals, lit]),
        )
        near = layer.depth < canvas.depth[layer.pixels] + 0.004
        values, pixels = layer.values[near], layer.pixels[near]
        flow = np.column_stack([values[:, 1:3], np.zeros(len(values), np.float32)])
        seed = scene.person.seed + 71
        coarse = noise(flow, (7.0, 70.0, 1.0), seed, 2)
        fine = noise(flow, (1.3, 34.0, 1.0), seed + 1, 2)
        ends = noise(flow, (0.6, 60.0, 1.0), seed + 2, 2)
        # Locks of a few strands each, thinning out over the last centimetre: a shorter border looks cut with scissors.
        # At the outline of the head they would leave holes, so only those that face the camera are cut.
        ragged = hair.ragged * np.clip(2.2 * values[:, 8], 0.1, 1)
        inside = values[:, 0] + ragged * (0.55 * ends + 0.55 * coarse)
        opacity = np.clip(inside / (0.4 + 2.2 * ragged) + 0.45, 0, 1)
        shown = opacity > 0.02
        values, pixels, coarse, fine, opacity = values[shown], pixels[shown], coarse[shown], fine[shown], opacity[shown]
        normal, light = values[:, 6:9], values[:, 9:12]
        if hair.cloth:
            weave = (
                1
                + 0.05 * noise(values[:, 3:6], 1.4, seed + 3)
                + 0.10 * noise(values[:, 3:6], (22.0, 40.0, 22.0), seed + 4, 2)
            )
            colour = hair.colour * light * weave[:, None]
        else:
            texture = np.clip(1 + 0.30 * fine + 0.22 * coarse, 0.25, 2)
            colour = hair.colour * light * texture[:, None]
            band = np.clip(normal @ scene.light.lamps[0].halfway(0.35), 0, 1)
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

    def _draw_occluders(self, canvas: Canvas, scene: Scene, canonical, generator) -> None:
        side = self.camera.image_size[0]
        marks = canonical[self.model.landmarks]
        pixels = compiled.project(self.camera, scene.vertices[self.model.landmarks])
        roll = generator.random(4)
        things = occluders.glasses(marks, generator) if roll[0] < 0.17 else []
        if roll[1] < 0.07:
            things.append(occluders.hand(canonical, scene.person.skin, generator))
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

    def _draw_accessory(self, canvas: Canvas, scene: Scene, thing: occluders.Accessory) -> None:
        vertices = self._world(scene, thing.part.vertices)
        normals = thing.normals @ scene.rotation
        layer = self._layer(vertices, thing.part.triangles, np.column_stack([normals, self._lit(scene, normals)]))
        near = layer.depth < canvas.depth[layer.pixels]
        pixels, values = layer.pixels[near], layer.values[near]
        cosine = np.clip(values[:, :3] @ scene.light.lamps[0].halfway(), 0, 1)
        colour = thing.colour * values[:, 3:6] + (thing.gloss * 0.35 * cosine**30)[:, None]
        canvas.colour[pixels] += (colour - canvas.colour[pixels]) * thing.opacity
        if thing.opacity > 0.3:
            canvas.covered[pixels] = True
