"""Extends a reconstructed face of the human head to its ears, skull and neck, for exports and pages."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import tensorflow as tf

from configs import schema
from lib.face_image.region import PhotoRegion
from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import NAME, ExtendedHead
from lib.geometry.camera import Camera
from lib.geometry.lighting import shade
from lib.human_head.area import AREAS
from lib.mesh_export.texture_fill import edge_laplacian
from lib.mesh_renderer.fragments import rasterize, uncompiled
from model.face_gcn import FaceReconstruction
from model.morphable_model import MorphableModel
from model.projection import SampledColours
from model.whole_head.scalp import PaintedScalp, Scalp

# Values known on the face fade, over about this many edges beyond it, into those expected there.
FADING = 30.0
# The border of the face's mesh is straightened: vertices farther than this [dm] from where the head has them are new.
SAME = 1e-5
# Light on the skull stays within these quantiles of that on the front of the face: spherical harmonics that were fitted
# to the front say little about the back.
LIGHT_RANGE = (0.1, 0.9)


@dataclass(frozen=True, eq=False)
class WholeHead:
    """A face continued to a whole head.

    Attributes:
      reconstruction: the head; its pictures and masks, which show the crop, are those of the face.
      scalp: the painted scalp; None if it is left as skin.
    """

    reconstruction: FaceReconstruction
    scalp: PaintedScalp | None


class HeadExtension:
    """Adds the rest of a larger area of the human head to reconstructions of its face.

    The first vertices of the larger area are those of the face, so that vertex numbers stay valid.

    Args:
      face: the model that was reconstructed.
      extended: the larger area.
      camera: camera of the crops.
      hair: whether to paint the scalp; otherwise the face's skin continues there.

    Attributes:
      morphable, chart: the larger area and its texture chart.
    """

    def __init__(self, face: FaceModel, extended: ExtendedHead, camera: Camera, hair: bool = True):
        head = extended.model
        self.morphable, self.chart = MorphableModel(head), extended.chart
        self._camera, self._count = camera, face.vertex_count
        self._scalp = Scalp(self.morphable, camera) if hair else None
        self._front = np.flatnonzero(face.front_mask)
        apart = np.linalg.norm(head.mean_shape[: self._count] - face.mean_shape, axis=1)
        self._known = np.zeros(head.vertex_count, bool)
        self._known[: self._count] = apart < SAME

    @classmethod
    def of(cls, config: schema.Config, face: FaceModel, camera: Camera) -> "HeadExtension | None":
        """The extension that a configuration's `export.area` names.

        None if the face already has that area or a larger one, or is not the human head's.
        """
        section, wanted = config.face_model, config.export.area
        if face.name != NAME or AREAS.index(wanted) <= AREAS.index(section.area):
            return None
        extended = ExtendedHead.load(config.generated_dir, section.area, wanted, section.vertex_count)
        return cls(face, extended, camera, config.export.hair)

    def __call__(
        self, result: FaceReconstruction, coefficients: np.ndarray, readable: np.ndarray, region: PhotoRegion | None
    ) -> WholeHead:
        """Extends a batch of one; pictures and masks, which show the crop, stay those of the face.

        Args:
          result: of the face.
          coefficients: [1, K].
          readable: [H, W] pixels of the crop that show the face's skin.
          region: the photo around the crop, from which the scalp takes its colours; None if it shows only the face.
        """
        face = self.morphable.posed(tf.constant(coefficients), self._camera)
        coarse = face.albedo
        albedo = self._extend(result.albedo, coarse)
        appearance = albedo + self._extend(result.appearance - result.albedo, tf.zeros_like(albedo))
        own = result.coarse.face.shading
        face = dataclasses.replace(face, shading=self._extend(own, self._expected_light(own, face.shading)))
        with uncompiled():
            fragments = rasterize(
                self._camera.clip_coordinates(face.vertices), self.morphable.triangles, self._camera.image_size
            )
        scalp = None
        if self._scalp is not None:
            scalp = self._scalp(face, albedo[0].numpy(), readable, region)
            share = self._scalp.share[None, :, None]
            albedo, appearance = (skin + share * (scalp.albedo[None] - skin) for skin in (albedo, appearance))
        hidden = [[0, 0], [0, self.morphable.vertex_count - self._count], [0, 0]]
        sampled = result.coarse.sampled
        whole = dataclasses.replace(
            result,
            coarse=dataclasses.replace(
                result.coarse,
                face=face,
                albedo=coarse,
                colour=shade(coarse, face.shading),
                fragments=fragments,
                sampled=SampledColours(tf.pad(sampled.colour, hidden), tf.pad(sampled.visibility, hidden)),
            ),
            appearance=appearance,
            albedo=albedo,
            colour=shade(appearance, face.shading),
        )
        return WholeHead(whole, scalp)

    def _expected_light(self, own: tf.Tensor, shading: tf.Tensor) -> tf.Tensor:
        """Light [1, N, 3] beyond the face: `shading` in the hue and the range of brightness of the face's `own`."""
        front = own.numpy()[0, self._front]
        low, high = np.quantile(front.mean(axis=1), LIGHT_RANGE).astype(np.float32)
        middle, half = (low + high) / 2, max((high - low) / 2, 1e-3)
        brightness = tf.reduce_mean(shading, axis=-1, keepdims=True)
        hue = (front.mean(axis=0) / front.mean()).astype(np.float32)
        return (middle + half * tf.tanh((brightness - middle) / half)) * hue

    def _extend(self, values: tf.Tensor, expected: tf.Tensor) -> tf.Tensor:
        """Values [1, N, 3] of the face, continued smoothly beyond it into the expected ones [1, M, 3]."""
        wanted = expected.numpy()[0].astype(np.float64)
        difference = np.zeros_like(wanted)
        difference[: self._count] = values.numpy()[0] - wanted[: self._count]
        solve, border = self._membrane
        difference[~self._known] = solve(border @ difference[self._known])
        return tf.constant((wanted + difference)[None], tf.float32)

    @cached_property
    def _membrane(self):
        """Screened Laplace equation beyond the face: its solver, and the matrix from known values to its right side."""
        model, known = self.morphable.face_model, self._known
        laplacian = edge_laplacian(model.triangles, model.vertex_count).astype(np.float64)
        system = laplacian[~known] + scipy.sparse.identity(model.vertex_count, format="csr")[~known] / FADING**2
        return scipy.sparse.linalg.splu(system[:, ~known].tocsc()).solve, -system[:, known]
