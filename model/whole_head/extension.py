"""Extends a reconstructed face of the human head to its ears, skull and neck, for exports and pages."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from configs import schema
from lib.face_image.region import PhotoRegion
from lib.face_mask.person import load_network
from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import NAME, ExtendedHead
from lib.geometry.camera import Camera
from lib.geometry.lighting import shade, shading
from lib.geometry.rotation import rotation_matrix
from lib.human_head.area import AREAS
from lib.images.holes import holes
from lib.mesh_renderer.fragments import Fragments, interpolate, rasterize
from model.face_gcn import FaceReconstruction
from model.morphable_model import MorphableModel, PosedFace
from model.projection import SampledColours
from model.whole_head.continuation import LIGHT_FADES, SKIN_FADES, Continuation
from model.whole_head.hair.curtain import Curtain
from model.whole_head.hair.hair_shape import HairShape
from model.whole_head.scalp.painted import PaintedScalp
from model.whole_head.scalp.scalp import Scalp
from model.whole_head.wide_view import WideView

# Light on the skull stays within these quantiles of that on the front of the face: spherical harmonics that were fitted
# to the front say little about the back.
LIGHT_RANGE = (0.1, 0.9)
DARKEST = 0.05
# Cosine between normal and direction away from the camera from which on they say nothing.
AVERTED = 0.5
# Beyond the face, what sees less of the sky than this is in shadow, from this many edges away from the face on. Shadows
# are deeper than those of a whole sky (exponent), because light comes from fewer directions.
OPEN_SKY, IN_SHADOW, DEEPER = 0.88, 6, 1.5


@dataclass(frozen=True, eq=False)
class WholeHead:
    """A face continued to a whole head.

    Attributes:
      reconstruction: the head.
      scalp: the painted scalp; None if it is left as skin.
      lift: [N, 3] what the volume of the hair adds to the shape, decimetres.
    """

    reconstruction: FaceReconstruction
    scalp: PaintedScalp | None
    lift: np.ndarray


@dataclass(frozen=True, eq=False)
class _Dressed:
    """A head with its hair: its shape and light, its scalp, and what the hair adds to the shape."""

    face: PosedFace
    scalp: PaintedScalp | None
    lift: np.ndarray


class HeadExtension:
    """Adds the rest of a larger area of the human head to reconstructions of its face.

    The first vertices of the larger area are those of the face, so that vertex numbers stay valid.

    Args:
      face: the model that was reconstructed.
      extended: the larger area.
      camera: camera of the crops.
      hair: whether to paint the scalp; otherwise the face's skin continues there.
      volume: whether painted hair has volume.

    Attributes:
      morphable, chart: the larger area and its texture chart.
    """

    def __init__(self, face: FaceModel, extended: ExtendedHead, camera: Camera, hair: bool = True, volume: bool = True):
        head = extended.model
        self.morphable, self.chart = MorphableModel(head), extended.chart
        self._camera, self._count, self._face_triangles = camera, face.vertex_count, tf.constant(face.triangles)
        self._scalp = Scalp(self.morphable, camera, self._count) if hair else None
        self._hair = HairShape(self.morphable, self._count, volume) if hair else None
        if self._hair is not None:
            load_network()  # a missing file is refused before the first photo
        self._front = np.flatnonzero(face.front_mask)
        self._known = np.zeros(head.vertex_count, bool)
        self._known[: self._count] = extended.shared(face)
        self._beyond = Continuation(head, self._known)
        self._at_border = tf.constant(self._beyond.widened(~self._known)[None, :, None], tf.float32)
        self._unshadowed = self._shadow_factors()

    @classmethod
    def of(cls, config: schema.Config, face: FaceModel, camera: Camera) -> "HeadExtension | None":
        """The extension that a configuration's `export.area` names.

        None if the face already has that area or a larger one, or is not the human head's. A file may hold another
        area or density of the human head than the options say; then the program says so, and there is no extension.
        """
        section, wanted = config.face_model, config.export.area
        if face.name != NAME or AREAS.index(wanted) <= AREAS.index(section.area):
            return None
        extended = ExtendedHead.load(config.generated_dir, section.area, wanted, section.vertex_count)
        if not extended.continues(face):
            own = f"the human head's area {section.area} with face_model.vertex_count={section.vertex_count}"
            told = f"is exported without the rest of the head, because its vertices are not those of {own}"
            print(f"{section.source}: {told} (set it to the file's)", file=sys.stderr)
            return None
        # Hair has volume on whole skulls only: cut through, they have no outline.
        return cls(face, extended, camera, config.export.hair, config.export.hair_volume and wanted == "head")

    def __call__(
        self,
        result: FaceReconstruction,
        coefficients: np.ndarray,
        readable: np.ndarray,
        region: PhotoRegion | None,
        gaze: np.ndarray | None = None,
    ) -> WholeHead:
        """Extends a batch of one.

        Where the crop shows the face, renderings stay as they are, but for hair; around it they show the rest of the
        head. The overlay stays that of the face.

        Args:
          result: of the face.
          coefficients: [1, K].
          readable: [H, W] pixels of the crop that show the face's skin.
          region: the photo around the crop, from which the scalp takes its colours; None if it shows only the face.
          gaze: [2] that of the result, see `MorphableModel.placed`.
        """
        face = self.morphable.posed(tf.constant(coefficients), self._camera, gaze)
        coarse = face.albedo
        albedo = self._beyond(result.albedo, coarse, SKIN_FADES)
        appearance = albedo + self._beyond(result.appearance - result.albedo, tf.zeros_like(albedo), SKIN_FADES)
        view = None
        if self._scalp is not None and region is not None:
            view = WideView.of(self.morphable, self._camera, face, readable, region)
        dressed = self._dressed(face, result.coarse.face.shading, albedo, readable, region, view)
        face, scalp = dressed.face, dressed.scalp
        fragments = self._fragments(face)
        share = tf.zeros([1, len(self._known), 1])
        if scalp is not None:
            share = tf.constant(scalp.share[None, :, None])
            coarse, albedo, appearance = (
                skin + share * (scalp.albedo[None] - skin) for skin in (coarse, albedo, appearance)
            )
        hidden = [[0, 0], [0, self.morphable.vertex_count - self._count], [0, 0]]
        sampled = result.coarse.sampled
        coarse_colour, colour = shade(coarse, face.shading), shade(appearance, face.shading)
        coarse_rendering, rendering, mask = self._around(result, (coarse_colour, colour), share, fragments)
        whole = dataclasses.replace(
            result,
            coarse=dataclasses.replace(
                result.coarse,
                face=face,
                albedo=coarse,
                colour=coarse_colour,
                fragments=fragments,
                rendering=coarse_rendering,
                sampled=SampledColours(tf.pad(sampled.colour, hidden), tf.pad(sampled.visibility, hidden)),
            ),
            appearance=appearance,
            albedo=albedo,
            colour=colour,
            rendering=rendering,
            mask=mask,
        )
        return WholeHead(whole, scalp, dressed.lift)

    def _fragments(self, face: PosedFace) -> Fragments:
        camera = self._camera
        return rasterize(camera.clip_coordinates(face.vertices), self.morphable.triangles, camera.image_size)

    def _dressed(
        self,
        bare: PosedFace,
        own: tf.Tensor,
        albedo: tf.Tensor,
        readable: np.ndarray,
        region: PhotoRegion | None,
        view: WideView | None,
        bald: bool = False,
    ) -> _Dressed:
        """A bare head with the hair that the photo shows.

        Args:
          bare: the bare head.
          own: [1, M, 3] light of its face.
          albedo: [1, N, 3] of its skin.
          readable, region: as in `__call__`.
          view: the photo around the bare head.
          bald: whether it is known to have none.
        """
        if self._hair is None or self._scalp is None:
            face = dataclasses.replace(bare, shading=self._light(own, bare, None))
            return _Dressed(face, None, np.zeros([self.morphable.vertex_count, 3], np.float32))
        bald = bald or (view is not None and self._scalp.shows_no_hair(view))
        volume = self._hair(bare, view, bald)
        face = self._lifted(bare, volume.lift)
        face = dataclasses.replace(face, shading=self._light(own, face, volume.curtain))
        scalp = self._scalp(face, albedo[0].numpy(), readable, region, volume.wall, volume.curtain, bald)
        if scalp.bald and not bald:
            return self._dressed(bare, own, albedo, readable, region, view, bald=True)
        return _Dressed(dataclasses.replace(face, shading=tf.constant(scalp.light[None])), scalp, volume.lift)

    def _lifted(self, face: PosedFace, lift: np.ndarray) -> PosedFace:
        """A posed head whose shape is displaced by `lift` [N, 3]; the light is that of its new normals."""
        offset = tf.constant(lift[None])
        vertices = face.vertices + tf.matmul(offset, rotation_matrix(face.coefficients.angles))
        normals = self.morphable.normals(vertices)
        light = shading(normals, face.coefficients.light)
        return dataclasses.replace(face, shape=face.shape + offset, vertices=vertices, normals=normals, shading=light)

    def _around(
        self, face: FaceReconstruction, colours: Sequence[tf.Tensor], share: tf.Tensor, fragments: Fragments
    ) -> tuple[tf.Tensor, ...]:
        """Coarse and fine rendering [1, H, W, 3] of the head, and their mask [1, H, W, 1].

        They are those of the face, but for hair and for the triangles at the face's border, whose vertices are not the
        head's.

        Args:
          face: the face's renderings.
          colours: coarse and fine colours [1, N, 3] of the head.
          share: [1, N, 1] of hair.
          fragments: of the head.
        """
        changed = tf.maximum(share, self._at_border)
        drawn = interpolate(tf.concat([*colours, changed], axis=-1), self.morphable.triangles, fragments)
        # Through a hole in the face one would see the skull from inside.
        beyond = tf.constant(~holes(face.mask[0].numpy())[None, ..., None])
        around = (face.mask < 0.5) & beyond
        # The head's triangles at the border lie elsewhere than the face's.
        border = interpolate(self._at_border[:, : self._count], self._face_triangles, face.coarse.fragments)
        new = tf.where(around, 1.0, tf.maximum(drawn[..., 6:], border * fragments.mask) * face.mask)
        coarse, fine = (
            own + new * (head - own)
            for own, head in ((face.coarse.rendering, drawn[..., :3]), (face.rendering, drawn[..., 3:6]))
        )
        return coarse, fine, tf.maximum(face.mask, fragments.mask * tf.cast(beyond, tf.float32))

    def _light(self, own: tf.Tensor, face: PosedFace, curtain: Curtain | None) -> tf.Tensor:
        """Light [1, N, 3] of the whole head: the face's `own`, continued, with shadows beyond it.

        The curtain of long hair has neither light nor shadows of the skin that it covers.
        """
        expected, count = self._expected_light(own, face), self._count
        own = expected[:, :count] + _facing(face)[:, :count] * (own - expected[:, :count])
        light = self._beyond(own, expected, LIGHT_FADES) * self._unshadowed
        if curtain is None:
            return light
        return light + (curtain.share * ~self._known)[:, None] * (expected - light)

    def _shadow_factors(self) -> np.ndarray:
        """[N, 3] factors of the light beyond the face, 1 on it: the jaw shades the neck, and ears their own folds.

        Skin that faces skin receives its light, so its shadows are warm. Hair has its shadows in its colours.
        """
        model = self.morphable.face_model
        near, distance = self._known, np.zeros(model.vertex_count)
        for _ in range(IN_SHADOW):
            distance += ~near
            near = self._beyond.widened(near)
        open_sky = np.minimum(model.regions["sky"] / OPEN_SKY, 1) ** DEEPER
        share = (1 - model.regions["scalp"]) * distance / IN_SHADOW
        # What does not see the sky sees skin in the same light: E = s + (1 - s) albedo E.
        light = open_sky[:, None] / (1 - (1 - open_sky[:, None]) * np.clip(model.mean_albedo, 0, 0.9))
        return (1 - share[:, None] * (1 - light)).astype(np.float32)

    def _expected_light(self, own: tf.Tensor, face: PosedFace) -> tf.Tensor:
        """Light [1, N, 3] beyond the face, in the range of hue and brightness of the face's `own`.

        Where the head turns away from the camera, the photo says nothing about its light: there, it is that of an
        average place of the face.
        """
        front = own.numpy()[0, self._front]
        low, high = np.quantile(front.mean(axis=1), LIGHT_RANGE).astype(np.float32)
        middle, half = (low + high) / 2, max((high - low) / 2, 1e-3)
        brightness = tf.reduce_mean(face.shading, axis=-1, keepdims=True)
        hues = (front / np.maximum(front.mean(axis=1, keepdims=True), DARKEST)).astype(np.float32)
        usual = hues.mean(axis=0)
        hue = tf.clip_by_value(
            face.shading / tf.maximum(brightness, DARKEST), *np.quantile(hues, LIGHT_RANGE, axis=0).astype(np.float32)
        )
        expected = middle + half * tf.tanh((brightness - middle) / half)
        facing = _facing(face)
        return (middle + facing * (expected - middle)) * (usual + facing * (hue - usual))


def _facing(face: PosedFace) -> tf.Tensor:
    """[1, N, 1] in [0, 1], 0 where the head turns away from the camera."""
    return tf.clip_by_value(1 + face.normals[..., 2:] / AVERTED, 0.0, 1.0)
