"""Paints the scalp of a whole head in the colours that the photo shows there: of hair, a cap, or bare skin."""

import cv2
import numpy as np
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.colour_ratio import ColourRatio, density
from lib.images.sampling import sample_image
from lib.mesh_export.texture_baking import FULL_COSINE, LEAST_COSINE, inside_mask
from lib.mesh_export.texture_fill import membrane
from lib.mesh_renderer.fragments import triangle_ids
from model.morphable_model import MorphableModel, PosedFace
from model.projection import delit_albedo, facing_cosine
from model.whole_head.hair.curtain import Curtain
from model.whole_head.hair.wall import behind_head
from model.whole_head.scalp.baldness import Baldness
from model.whole_head.scalp.bare_top import BareTop
from model.whole_head.scalp.colours import (
    DARKEST,
    below_one,
    light_on_hair,
    share_of_hair,
    typical,
    unlike_skin,
)
from model.whole_head.scalp.hairline import Hairline
from model.whole_head.scalp.headwear import Headwear, HeadwearFinder, no_hue_of_hair
from model.whole_head.scalp.painted import PaintedScalp
from model.whole_head.scalp_mesh import ScalpMesh, SeenScalp, widened
from model.whole_head.wide_view import WideView

# Least share of the scalp that the photo must show: a few vertices at the border are as much wall as hair.
LEAST_SEEN = 0.02
# Brows differ from the skin as hair does, but less (exponent of the ratio): skin shows between their hairs.
BROW_CONTRAST = 2.5
# Brightness of hair that the photo does not show, relative to the skin, at most: faint brows do not mean pink hair.
LIGHTEST = 0.55
# Weight of what looks like bare skin for the colour of what is not seen: a high forehead is no colour of hair.
BARE_WEIGHT = 0.05
# Share of the photo from which a vertex counts as inside it.
WHOLE = 0.99


class Scalp:
    """The scalp of one whole head.

    Args:
      morphable: a head whose model has the region "scalp".
      camera: of the crops.
      count: number of vertices of its face, which come first.
    """

    def __init__(self, morphable: MorphableModel, camera: Camera, count: int):
        self._morphable, self._camera, self._wide = morphable, camera, widened(camera)
        model = morphable.face_model
        self._count, self._hairline = count, Hairline(model, count)
        self._mesh = ScalpMesh(model, self._hairline.reach)
        self._headwear = HeadwearFinder(model, self._mesh.rows)
        self._plain = (np.asarray(model.skin_mask, bool) & (model.regions["brow"] == 0))[model.triangles].all(axis=1)
        self._drawn = self._hairline.usual[model.triangles].min(axis=1) > 0.5
        self._baldness = Baldness(model, self._drawn, self._hairline.crown, self._plain)
        self._bare_top = BareTop(model, self._hairline.usual, self._hairline.crown, self._plain)

    def shows_no_hair(self, view: WideView) -> bool:
        """Whether a photo shows a head without hair by its outline; its colours may still tell that."""
        return self._baldness.outside(view)

    def __call__(
        self,
        face: PosedFace,
        skin: np.ndarray,
        readable: np.ndarray,
        region: PhotoRegion | None,
        wall: np.ndarray | None = None,
        curtain: Curtain | None = None,
        bald: bool = False,
    ) -> PaintedScalp:
        """Reads the scalp's colours in a photo and continues them where it is not seen.

        Args:
          face: a batch of one, with the shading of the whole head.
          skin: [N, 3] albedo of the bare head.
          readable: [H, W] pixels of the crop that show the face's skin.
          region: the photo's pixels around the crop; None if they show nothing but the face.
          wall: [S, S] log of the odds of hair to what is behind the head, if known; the head may be drawn too large.
          curtain: long hair; None if the photo shows none.
          bald: whether the scalp is known to be bare, but for a ring of hair.

        Returns:
          The colours; those of the brows if the photo hardly shows the scalp.
        """
        camera, mesh, albedo = self._wide, self._mesh, np.zeros_like(skin)
        light, none = face.shading.numpy()[0], np.zeros(len(skin), np.float32)
        if curtain is not None:
            mesh = ScalpMesh(self._morphable.face_model, self._hairline.reach | (curtain.share > 0))
        rows = mesh.rows
        readable = np.pad(readable.astype(np.float32), (camera.image_size[0] - len(readable)) // 2)
        if region is not None:
            image, inside = region.frame(self._camera.image_size[0], camera.image_size[0])
            even = light_on_hair(light, self._hairline.usual > 0)
            seen = self._seen(face, even, rows, image, readable, inside, wall, curtain)
            share, shown = seen.share, seen.shown
            if bald:
                shown = np.maximum(readable, self._bare(seen.ids, inside, wall))
            trusted = seen.visible * self._trusted(face, rows, seen.points, shown)
            if bald:
                return self._with_ring(seen, trusted, light, even, skin, shown)
            looks = seen, trusted, skin, rows, inside
            if self._baldness(*looks) or self._bare_top(*looks):
                return PaintedScalp(albedo, none, none, light, none, camera, shown, bald=True)
            weight = share[rows] * trusted
            if weight.sum() >= LEAST_SEEN * self._hairline.usual.sum():
                covered = unlike_skin(seen.colour, skin[rows])
                colour = below_one(seen.colour)
                headwear = None if curtain is not None else self._headwear(seen, colour, trusted, covered)
                if headwear is not None:
                    return self._with_headwear(headwear, seen, light, trusted, covered, skin)
                like_hair = BARE_WEIGHT + (1 - BARE_WEIGHT) * covered
                if curtain is not None:  # ears are dense, and what hangs over them is mostly in shadow
                    like_hair = like_hair * self._relative_areas(face, rows)
                hidden = membrane(mesh.laplacian, colour, typical(colour, weight * like_hair))
                albedo[rows] = np.clip(hidden + weight[:, None] * (colour - hidden), 0, 1)
                light = light + share[:, None] * (even - light)
                return PaintedScalp(albedo, share, none, light, self._hairline.alike(share), camera, shown)
        albedo[rows] = np.clip(self._brow_colour(skin), 0, 1)
        usual = self._hairline.usual
        return PaintedScalp(albedo, usual, none, light, self._hairline.alike(usual), camera, readable)

    def _ids(self, face: PosedFace) -> np.ndarray:
        """[S, S], the head's triangle in each pixel, -1 where there is none."""
        clip = self._wide.clip_coordinates(face.vertices)
        return triangle_ids(clip, self._morphable.triangles, self._wide.image_size).numpy()[0]

    def _bare(self, ids: np.ndarray, inside: np.ndarray, wall: np.ndarray | None) -> np.ndarray:
        """Bool [S, S], pixels inside the photo that show a bald scalp, by the head's triangles `ids` [S, S]."""
        scalp = self._drawn[ids] & (ids >= 0) & inside
        return scalp if wall is None else scalp & ~behind_head(wall, ids >= 0, inside)

    def _with_ring(
        self,
        seen: SeenScalp,
        weight: np.ndarray,
        light: np.ndarray,
        even: np.ndarray,
        skin: np.ndarray,
        shown: np.ndarray,
    ) -> PaintedScalp:
        """A scalp that is bare but for the ring of hair that the photo shows, if any.

        Args:
          seen: the photo at the M vertices of the scalp's mesh.
          weight: [M] in [0, 1], how well it shows a vertex.
          light, even: [N, 3] shading of the whole head, and that of hair.
          skin: [N, 3] albedo of the bare head.
          shown: [S, S] in [0, 1], pixels that show face or scalp.
        """
        mesh, rows, albedo = self._mesh, self._mesh.rows, np.zeros_like(skin)
        share = self._bare_top.ring(seen, weight, skin, rows)
        if share.any():
            colour = below_one(seen.colour)
            like_hair = share[rows] * weight * unlike_skin(seen.colour, skin[rows]) * ~no_hue_of_hair(seen.colour)
            albedo[rows] = np.clip(membrane(mesh.laplacian, colour, typical(colour, like_hair)), 0, 1)
            light = light + share[:, None] * (even - light)
        alike, cloth = self._hairline.alike(share), np.zeros_like(share)
        return PaintedScalp(albedo, share, cloth, light, alike, self._wide, shown, bald=True)

    def _with_headwear(
        self,
        headwear: Headwear,
        seen: SeenScalp,
        light: np.ndarray,
        weight: np.ndarray,
        covered: np.ndarray,
        skin: np.ndarray,
    ) -> PaintedScalp:
        """A scalp with cloth on it, and the person's own hair below.

        Args:
          headwear: at the M vertices of the scalp's mesh.
          seen: the photo there.
          light: [N, 3] shading of the whole head.
          weight: [M] in [0, 1], how well the photo shows a vertex.
          covered: [M] in [0, 1], how surely it shows no skin there.
          skin: [N, 3] albedo of the bare head.
        """
        mesh, rows, woven = self._mesh, self._mesh.rows, headwear.cloth
        cloth, albedo, light = np.zeros_like(seen.share), np.zeros_like(skin), light.copy()
        cloth[rows] = woven
        share = np.maximum(seen.share, cloth)
        weight = share[rows] * weight
        light[rows] = headwear.light(light[rows], seen.pixels, weight * covered)
        colour = below_one(delit_albedo(seen.pixels, light[rows]).numpy())
        hidden = np.broadcast_to(self._brow_colour(skin), colour.shape)
        own = weight * (1 - woven) * covered * (1 - headwear.alike)
        if own.sum() >= LEAST_SEEN * self._hairline.usual.sum():
            hidden = membrane(mesh.laplacian, colour, typical(colour, own))
        fabric = membrane(mesh.laplacian, colour, typical(colour, weight * woven * headwear.alike))
        hidden = hidden + woven[:, None] * (fabric - hidden)
        albedo[rows] = np.clip(hidden + weight[:, None] * (colour - hidden), 0, 1)
        # The other side has other logos.
        alike = self._hairline.alike(share) * (1 - cloth)
        return PaintedScalp(albedo, share, cloth, light, alike, self._wide, seen.shown)

    def _seen(
        self,
        face: PosedFace,
        light: np.ndarray,
        rows: np.ndarray,
        image: np.ndarray,
        readable: np.ndarray,
        inside: np.ndarray,
        wall: np.ndarray | None,
        curtain: Curtain | None,
    ) -> SeenScalp:
        """The photo at the vertices that may carry hair.

        Args:
          face: as in `__call__`.
          light: [N, 3] that falls on hair.
          rows: [M] numbers of these vertices.
          image: [S, S, 3] of the wide camera; its pixels `readable` of skin and those `inside` the photo, [S, S].
          wall, curtain: as in `__call__`.
        """
        ids, triangles = self._ids(face), self._morphable.face_model.triangles
        visible = np.isin(rows, triangles[ids[ids >= 0]])
        points = tf.gather(self._wide.project(face.vertices), rows, axis=1)
        if wall is not None:
            inside = inside & ~behind_head(wall, ids >= 0, inside & (readable < 0.5))
        stack = np.concatenate([image, readable[..., None], inside[..., None]], axis=-1)
        read = sample_image(tf.constant(stack[None], tf.float32), points)
        colour = delit_albedo(read[..., :3], tf.constant(light[None, rows])).numpy()[0]
        known, covered = np.zeros([2, len(self._hairline.usual)], np.float32)
        pixels, skinny, shown = np.split(read.numpy()[0], [3, 4], axis=1)
        known[rows] = visible * (shown[:, 0] > WHOLE) * (self._cosine(face, rows) > LEAST_COSINE)
        skin = image[(readable > 0.5) & (ids >= 0) & self._plain[ids]]
        hair = pixels[(known * self._hairline.crown)[rows] * (self._cosine(face, rows) > FULL_COSINE) > 0]
        if len(skin) and len(hair):
            odds = ColourRatio(density(hair), density(skin))
            covered[rows] = share_of_hair(odds(pixels)) * (1 - skinny[:, 0])
            # The photo's ear is hardly ever just where the head's is. What sticks out over the scalp behind is no hair.
            ear = self._hairline.behind[triangles].all(axis=1)[ids] & (ids >= 0) & (share_of_hair(odds(image)) < 0.5)
            ear = cv2.dilate(ear.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            inside, readable = inside & ~ear, readable * ~ear
            visible = visible & (
                sample_image(tf.constant(ear[None, ..., None], tf.float32), points)[0, :, 0].numpy() == 0
            )
        else:
            known[:] = 0
        share = self._hairline(known, covered).astype(np.float32)
        if curtain is not None:
            # Where the photo shows the face's skin, no hair hides it.
            bare = np.zeros_like(share)
            bare[rows] = visible * skinny[:, 0] * (rows < self._count)
            hanging = curtain.share * (1 - bare)
            share = np.maximum(share, hanging)
            foreign = (hanging[triangles].max(axis=1) > 0.5)[ids] & (ids >= 0) & ~curtain.shown
            inside, readable = inside & ~foreign, readable * ~foreign
            hair = sample_image(tf.constant(curtain.shown[None, ..., None], tf.float32), points).numpy()[0, :, 0]
            visible = visible * np.where(hanging[rows] > 0, hair, 1)
        hairy = (share[triangles].mean(axis=1) > 0.5)[ids] & (ids >= 0) & inside
        return SeenScalp(
            image, points, visible, pixels, colour, share, ids, readable, hairy, np.maximum(readable, hairy)
        )

    def _relative_areas(self, face: PosedFace, rows: np.ndarray) -> np.ndarray:
        """[M] area around the vertices `rows`, relative to the scalp's median, at most 1."""
        triangles = self._morphable.face_model.triangles
        corners = face.vertices.numpy()[0][triangles]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        around = np.bincount(triangles.ravel(), np.repeat(area, 3), len(face.vertices[0]))[rows]
        return np.minimum(around / np.median(around[self._hairline.usual[rows] > 0]), 1)

    def _brow_colour(self, skin: np.ndarray) -> np.ndarray:
        """[3] albedo of hair as in the brows of `skin` [N, 3], of their darker half."""
        model = self._morphable.face_model
        brow = model.regions["brow"]
        brows = skin[brow > 0.5]
        brightness = brows.mean(axis=1)
        hair = brows[brightness <= np.median(brightness)].mean(axis=0)
        bare = np.median(skin[model.front_mask & model.skin_mask & (brow == 0)], axis=0)
        ratio = (hair / np.maximum(bare, DARKEST)) ** BROW_CONTRAST
        return bare * ratio * min(1, LIGHTEST / ratio.mean())

    def _trusted(self, face: PosedFace, rows: np.ndarray, points: tf.Tensor, shown: np.ndarray) -> np.ndarray:
        """[M] in [0, 1] for the vertices `rows`, less near the outlines of head and mask: other colours lie beyond."""
        trusted = inside_mask(shown, self._camera.image_size[0] / REFERENCE_SIZE)
        well_inside = sample_image(tf.constant(trusted[None, ..., None]), points)[0, :, 0].numpy()
        return well_inside * np.clip((self._cosine(face, rows) - LEAST_COSINE) / (FULL_COSINE - LEAST_COSINE), 0, 1)

    def _cosine(self, face: PosedFace, rows: np.ndarray) -> np.ndarray:
        """[M] between the normals of the vertices `rows` and the view."""
        vertices, normals = (tf.gather(values, rows, axis=1) for values in (face.vertices, face.normals))
        return facing_cosine(vertices, normals, self._wide).numpy()[0, :, 0]
