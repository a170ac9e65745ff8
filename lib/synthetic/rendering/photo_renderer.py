"""Rendering of one synthetic scene: face, head, hair and occluders, with visibility masks."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.mesh_renderer.visibility import visible_triangles
from lib.synthetic.appearance.backgrounds import sample_background
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from lib.synthetic.appearance.eyes import glint
from lib.synthetic.appearance.hair import Hair, Sheet
from lib.synthetic.appearance.noise import noise
from lib.synthetic.appearance.skin_detail import paint
from lib.synthetic.occlusion import occluders, overlays
from lib.synthetic.occlusion.covers import Covers
from lib.synthetic.rendering import compiled
from lib.synthetic.rendering.head_mesh import HeadBuilder, HeadMesh
from lib.synthetic.rendering.imaging import reduce, soft_shoulder
from lib.synthetic.rendering.pixels import Layer, read_layer
from lib.synthetic.rendering.scene import Canvas, PhotoSettings, Picture, Scene


class PhotoRenderer:
    """Renderer for photos of one face model; holds everything its photos share.

    Args:
      model: the face model.
      face: the same model in canonical millimetres.
      camera: of the final picture.
      settings: of the photos.
    """

    def __init__(self, model: FaceModel, face: CanonicalFace, camera: Camera, settings: PhotoSettings):
        self.model, self.face, self.settings = model, face, settings
        self.size = camera.image_size[0]
        side = self.size * settings.supersampling
        self.camera = dataclasses.replace(camera, image_size=(side, side))
        self.heads = HeadBuilder(model, face, settings)

    def render(self, scene: Scene, generator: np.random.Generator, covers: Covers | None = None) -> Picture:
        """Renders the scene with random surroundings and occluders, and with `covers` on top."""
        canonical = self.face.placement.to_canonical(scene.shape)
        side = self.camera.image_size[0]
        background = sample_background(generator, side)
        canvas = Canvas(
            background.reshape(-1, 3) if self.settings.surroundings else np.zeros((side * side, 3), np.float32),
            np.full(side * side, np.inf, np.float32),
            np.zeros(side * side, bool),
            np.zeros(side * side, bool),
        )
        hair = None
        if self.settings.surroundings:
            hair = self.heads.scalp.grow(canonical, scene.person, scene.moment, generator)
        self._draw_head(canvas, scene, self.heads.build(scene, canonical, hair, generator))
        if hair is not None:
            for sheet in (*hair.curtains, hair.shell):
                self._draw_hair(canvas, scene, hair, sheet)
        solid = canvas.depth.reshape(side, side)
        if self.settings.occluders:
            self._draw_occluders(canvas, scene, canonical, generator)
        if covers is not None:
            self._draw_covers(canvas, scene, canonical, covers, scene.person.hair if hair is None else hair.colour)
        return self._picture(canvas, solid)

    def _picture(self, canvas: Canvas, depth: np.ndarray) -> Picture:
        factor, side = self.settings.supersampling, self.camera.image_size[0]
        image = reduce(canvas.colour.reshape(side, side, 3).astype(np.float32), factor)
        seen = (canvas.face & ~canvas.covered).reshape(side, side).astype(np.float32)
        alpha = np.where(reduce(seen, factor) >= 0.5, 255, 0).astype(np.uint8)
        covered = reduce((canvas.face & canvas.covered).reshape(side, side).astype(np.float32), factor) >= 0.5
        farthest = depth.reshape(self.size, factor, self.size, factor).max((1, 3))
        if self.settings.extra_light:
            image = soft_shoulder(image)
        return Picture(image.astype(np.float32), alpha, covered & (alpha == 0), farthest)

    def _layer(self, vertices: np.ndarray, triangles: np.ndarray, channels: Mapping[str, np.ndarray]) -> Layer:
        clip = compiled.clip_coordinates(self.camera, vertices)
        ids, _ = visible_triangles(clip, triangles, self.camera.image_size)
        return read_layer(ids[0], triangles, vertices, channels, self.camera)

    def _draw_head(self, canvas: Canvas, scene: Scene, mesh: HeadMesh) -> None:
        layer = self._layer(mesh.vertices, mesh.triangles, mesh.channels)
        canvas.depth[layer.pixels] = layer.depth
        on_face = layer.triangle < mesh.face_triangles
        canvas.face[layer.pixels[on_face]] = True
        # Eyeballs and mouths behind holes are painted like the face, but are not part of the model's surface.
        painted = on_face | (layer.triangle >= len(mesh.triangles) - mesh.filling_triangles)
        rest, face = layer.select(~painted), layer.select(painted)
        grain = 1 + 0.05 * noise(rest["place"], 9.0, scene.person.seed + 7, 3)[:, None]
        canvas.colour[rest.pixels] = rest["albedo"] * rest["light"] * grain
        canvas.colour[face.pixels] = self._face_colour(scene, face)

    def _face_colour(self, scene: Scene, layer: Layer) -> np.ndarray:
        """Colour [P, 3] of pixels on the face."""
        places, normals, light, coarse = (layer[name] for name in ("place", "normal", "light", "albedo"))
        lamp_share, fields, regions = layer["lamp_share"], layer["fields"], layer["regions"]
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
        shine = (shine * lamp_share * gloss + grazing * light.mean(1) * (regions[:, 0] < 0.5))[:, None]
        strongest = max(float(lamp.colour.max()), 0.2)
        colour = colour + shine * (0.35 * strongest + 0.65 * lamp.colour).astype(np.float32)
        eye = np.flatnonzero(regions[:, REGIONS.index("eye")] > 0.4)
        if len(eye):
            wet = glint(self.face, places[eye], normals[eye], half, scene.moment)
            colour[eye] += (wet * np.clip(lamp_share[eye] + 0.2, 0, 1))[:, None] * np.clip(lamp.colour, 0.25, 1)
        return colour

    def _draw_hair(self, canvas: Canvas, scene: Scene, hair: Hair, sheet: Sheet) -> None:
        vertices = scene.posed(self.face.placement.to_model(sheet.part.vertices))
        normals = compiled.normals(vertices, sheet.part.triangles)
        channels = {
            "cover": sheet.cover,
            "flow": sheet.flow,
            "place": sheet.part.places,
            "normal": normals,
            "light": scene.plain_light(normals),
        }
        layer = self._layer(vertices, sheet.visible_triangles(1 + 1.5 * hair.ragged), channels)
        layer = layer.select(layer.depth < canvas.depth[layer.pixels] + 0.004)
        flow = np.column_stack([layer["flow"], np.zeros(len(layer.pixels), np.float32)])
        seed = scene.person.seed + 71
        coarse = noise(flow, (7.0, 70.0, 1.0), seed, 2)
        fine = noise(flow, (1.3, 34.0, 1.0), seed + 1, 2)
        ends = noise(flow, (0.6, 60.0, 1.0), seed + 2, 2)
        # Locks of a few strands each, thinning out over the last centimetre: a shorter border looks cut with scissors.
        # At the outline of the head they would leave holes, so only those that face the camera are cut.
        ragged = hair.ragged * np.clip(2.2 * layer["normal"][:, 2], 0.1, 1)
        inside = layer["cover"] + ragged * (0.55 * ends + 0.55 * coarse)
        opacity = np.clip(inside / (0.4 + 2.2 * ragged) + 0.45, 0, 1)
        shown = opacity > 0.02
        layer, coarse, fine, opacity = layer.select(shown), coarse[shown], fine[shown], opacity[shown]
        pixels, light = layer.pixels, layer["light"]
        if hair.cloth:
            weave = (
                1
                + 0.05 * noise(layer["place"], 1.4, seed + 3)
                + 0.10 * noise(layer["place"], (22.0, 40.0, 22.0), seed + 4, 2)
            )
            colour = hair.colour * light * weave[:, None]
        else:
            texture = np.clip(1 + 0.30 * fine + 0.22 * coarse, 0.25, 2)
            colour = hair.colour * light * texture[:, None]
            band = np.clip(layer["normal"] @ scene.light.lamps[0].halfway(0.35), 0, 1)
            shine = (0.16 * band**14 * np.clip(0.7 + 0.8 * fine, 0, 2))[:, None]
            colour = colour + shine * (0.45 + 0.55 * hair.colour) * np.clip(scene.light.lamps[0].colour, 0, 1)
        edge = np.clip((layer["cover"] + 1) / 9, 0, 1)[:, None] if not hair.cloth else 1.0
        colour = colour * (0.62 + 0.38 * edge)
        if hair.ragged < 2 and not hair.cloth and hair.colour.mean() > 0.5 * scene.person.skin.mean():
            # Shaved or bald: stubble lets the skin through.
            opacity = 0.55 * np.clip((layer["cover"] + 3) / 10, 0, 1)
        canvas.colour[pixels] += (colour - canvas.colour[pixels]) * opacity[:, None]
        solid = pixels[opacity > 0.5]
        canvas.depth[solid] = layer.depth[opacity > 0.5]
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
            mask = occluders.draw_strands(side, pixels, generator, int(generator.integers(3, 20)))
            colour = scene.person.hair * np.clip(canvas.colour.mean(1, keepdims=True) * 2 + 0.2, 0.3, 1.1)
            self._cover(canvas, mask, colour)
        if roll[3] < 0.06:
            mask, colour = occluders.draw_object(side, pixels, generator)
            self._cover(canvas, mask, colour.reshape(-1, 3))

    def _draw_covers(self, canvas: Canvas, scene: Scene, canonical, covers: Covers, cloth: np.ndarray) -> None:
        """Draws shadows on the head first, then hair, then what is in front of the hair."""
        side, kinds, generator = self.camera.image_size[0], covers.kinds, covers.generator
        marks = compiled.project(self.camera, scene.vertices[self.model.landmarks])
        frame = overlays.FaceFrame.of(marks)
        light = np.clip(scene.shading.mean(0), 0.08, 1.2)
        if kinds & {"cap", "hat"}:
            shadow = overlays.brim_shadow(side, frame, generator).ravel()
            canvas.colour[canvas.face] *= shadow[canvas.face, None]
        draw = {
            "fringe": overlays.draw_fringe,
            "side locks": overlays.draw_side_locks,
            "strands": overlays.draw_single_strands,
        }
        for kind in draw:
            if kind in kinds:
                mask, bright = draw[kind](side, frame, generator)
                self._cover(canvas, mask, scene.person.hair * light * bright.reshape(-1, 1))
        if "face mask" in kinds:
            mask, bright, colour = overlays.draw_face_mask(side, marks, generator)
            self._cover(canvas, mask, colour * light * bright.reshape(-1, 1))
        for thing in covers.accessories(canonical, canonical[self.model.landmarks], scene.person.skin, cloth):
            self._draw_accessory(canvas, scene, thing)
        if "object" in kinds:
            mask, colour = occluders.draw_object(side, marks, generator)
            self._cover(canvas, mask, colour.reshape(-1, 3))

    @staticmethod
    def _cover(canvas: Canvas, mask: np.ndarray, colour: np.ndarray) -> None:
        """Blends a colour [P, 3] over the canvas by a mask [H, W]."""
        canvas.colour += (colour - canvas.colour) * mask.reshape(-1, 1)
        canvas.covered |= mask.ravel() > 0.5

    def _draw_accessory(self, canvas: Canvas, scene: Scene, thing: occluders.Accessory) -> None:
        vertices = scene.posed(self.face.placement.to_model(thing.part.vertices))
        normals = thing.normals @ scene.rotation
        channels = {"normal": normals, "light": scene.plain_light(normals)}
        layer = self._layer(vertices, thing.part.triangles, channels)
        layer = layer.select(layer.depth < canvas.depth[layer.pixels])
        pixels = layer.pixels
        cosine = np.clip(layer["normal"] @ scene.light.lamps[0].halfway(), 0, 1)
        colour = thing.colour * layer["light"] + (thing.gloss * 0.35 * cosine**30)[:, None]
        canvas.colour[pixels] += (colour - canvas.colour[pixels]) * thing.opacity
        if thing.opacity > 0.3:
            canvas.covered[pixels] = True
