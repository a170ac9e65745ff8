"""The method in the order of the paper's figure: from a face crop to a face with its fine texture, and to its loss.

    crop [B, H, W, 4]          coefficients [B, K]                      embedding [B, E]
      │                          │ morphable model, camera                │
      │                          v                                        │
      │             1. coarse face: vertices, albedo, shading             │
      │                │         │ rasterised once                        │
      │                v         v                                        │
      └──> 2. sampled colours at the projected vertices, visibility       │
                       │                                                  │
                       v                                                  v
                    refiner ──────────> 3. combine <────────────────── decoder
                                             │
                                             v
                                 appearance, albedo [B, N, 3]
                                             │
                appearance x shading = 4. colour (shade)
                                             │ same fragments
                                             v
                             5. rendering, overlay on the crop
                                             │
                                             v
                  6. loss terms: pixels, vertex colours, identity, albedo

`FaceGCN` has one method per step: `coarse` and `sample_crop` (1, 2), `refine` (3), `shade` and `render` (4, 5), `terms`
(6). Decoder, refiner and combination are `model.networks.texture_networks`; the terms' formulas are `model.losses`.

Coefficients and embedding come from the frozen networks (`model.networks.encoding`): in training they are constants of
the data, in test mode the coefficients are fitted to the photo. The gradient reaches the texture network alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shade
from lib.images.morphology import published_erosion
from lib.mesh_renderer.fragments import Fragments, interpolate, rasterize
from lib.tensor_structure import TensorStructure
from model import losses
from model.morphable_model import MorphableModel, PosedFace
from model.projection import SampledColours, check_projection, published_projection, zbuffer_projection


@dataclass(frozen=True)
class CoarseFace(TensorStructure):
    """The face of the coefficients, and what the crop shows of it.

    Attributes:
      face: geometry, normals, shading, landmarks.
      albedo: [B, N, 3] RGB in [0, 1].
      colour: [B, N, 3] the albedo under light.
      fragments: the triangle that every pixel sees; rasterised once, used by every rendering of this geometry.
      rendering: [B, H, W, 3] RGB, 0 in the background.
      sampled: colours of the crop at the vertices, and visibility.
      loss_mask: [B, H, W, 1] in [0, 1], how much the crop's pixels count in the loss.
    """

    face: PosedFace
    albedo: tf.Tensor
    colour: tf.Tensor
    fragments: Fragments
    rendering: tf.Tensor
    sampled: SampledColours
    loss_mask: tf.Tensor


@dataclass(frozen=True)
class FaceReconstruction(TensorStructure):
    """A crop's face with its fine texture.

    Attributes:
      coarse: the face before refinement.
      appearance: [B, N, 3] RGB; explains the photo under the coarse face's light, shadows and highlights that this
        light misses included; in [0, 1] or around it, as the texture network's head leaves it.
      albedo: [B, N, 3] the skin's own colour, for other views and other light; the appearance itself where the network
        makes only one texture.
      colour: [B, N, 3] the appearance under light.
      rendering: [B, H, W, 3] RGB, 0 in the background.
      mask: [B, H, W, 1] 1 where the face is rendered.
      overlay: [B, H, W, 3] the rendering over the crop, where both rendering and alpha are.
    """

    coarse: CoarseFace
    appearance: tf.Tensor
    albedo: tf.Tensor
    colour: tf.Tensor
    rendering: tf.Tensor
    mask: tf.Tensor
    overlay: tf.Tensor


class FaceGCN:
    """Coarse face, refinement, rendering and loss terms for one face model, camera and texture network.

    Args:
      morphable: the face model; holds every constant.
      camera: its image size is that of the crops.
      texture_network: (embedding, coarse_albedo, sampled_colour, visibility, shading, training) -> fine texture.
      projection: "zbuffer" (bilinear colours, depth-tested visibility, colours not clipped under light) or "published"
        (nearest pixel, facing normals, mask eroded as published, colours clipped to [0, 1]).
      identity_features: RGB [B, H, W, 3] in [0, 1] -> [B, E2], for the identity term; None leaves the term out.
    """

    def __init__(
        self,
        morphable: MorphableModel,
        camera: Camera,
        texture_network: Callable[..., tf.Tensor],
        projection: str = "zbuffer",
        identity_features: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ):
        check_projection(projection)
        self.morphable = morphable
        self.camera = camera
        self.texture_network = texture_network
        self.published = projection == "published"
        self.projection = projection
        self.identity_features = identity_features

    def __call__(
        self, crop: tf.Tensor, coefficients: tf.Tensor, embedding: tf.Tensor, training: bool = False
    ) -> FaceReconstruction:
        """Steps 1 to 5 for crops [B, H, W, 4], coefficients [B, K] and embeddings [B, E]."""
        coarse = self.coarse(coefficients, crop)
        texture = self.refine(embedding, coarse, training)
        return self.render(coarse, texture, crop)

    def coarse(self, coefficients: tf.Tensor, crop: tf.Tensor) -> CoarseFace:
        """Poses, lights and rasterises the face of the coefficients and reads the crop at its vertices.

        Args:
          coefficients: [B, K] in the layout of the face model.
          crop: [B, H, W, 4] RGBA in [0, 1], alpha 1 on skin.
        """
        if tuple(crop.shape[1:]) != (*self.camera.image_size, 4):
            expected = ", ".join(map(str, self.camera.image_size))
            raise ValueError(f"crop must be [B, {expected}, 4] RGBA, got {list(crop.shape)}")
        face = self.morphable.posed(coefficients, self.camera)
        # The model is linear: far from the mean it leaves the range of colours, which the networks' inputs must not.
        albedo = tf.clip_by_value(face.albedo, 0.0, 1.0)
        colour = self.shade(albedo, face)
        triangles = self.morphable.triangles
        # Refinement changes colours, not geometry: what is visible is decided here once for all renderings.
        fragments = rasterize(self.camera.clip_coordinates(face.vertices), triangles, self.camera.image_size)
        sampled, loss_mask = self.sample_crop(face, fragments, crop)
        return CoarseFace(
            face=face,
            albedo=albedo,
            colour=colour,
            fragments=fragments,
            rendering=interpolate(colour, triangles, fragments),
            sampled=sampled,
            loss_mask=loss_mask,
        )

    def sample_crop(self, face: PosedFace, fragments: Fragments, crop: tf.Tensor) -> tuple[SampledColours, tf.Tensor]:
        """Reads the crop [B, H, W, 4] at the vertices; returns the colours and the loss mask [B, H, W, 1]."""
        image, alpha = crop[..., :3], crop[..., 3:]
        points = self.camera.project(face.vertices)
        if self.published:
            # Nothing tests the depth there: the eroded border keeps most of the background's colours out.
            eroded = published_erosion(alpha)
            return published_projection(image, eroded, points, face.normals), eroded
        sampled = zbuffer_projection(
            image, alpha, self.camera, points, face.vertices, face.normals, self.morphable.triangles, fragments
        )
        return sampled, alpha

    def refine(
        self, embedding: tf.Tensor, coarse: CoarseFace, training: bool = False, unoccluded: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Predicts the fine texture by decoder, refiner and their combination.

        Args:
          embedding: [B, E] image embedding, the decoder's input.
          coarse: its albedo and the crop's colours are the refiner's input.
          training: dropout acts.
          unoccluded: [B, N, 1], 0 hides a vertex that the crop shows from the network; None hides nothing.

        Returns:
          [B, N, 3], or [B, N, 6] of a network with two textures: appearance, then albedo.
        """
        visibility = coarse.sampled.visibility
        return self.texture_network(
            embedding,
            coarse.albedo,
            coarse.sampled.colour,
            visibility if unoccluded is None else visibility * unoccluded,
            coarse.face.shading,
            training=training,
        )

    def shade(self, albedo: tf.Tensor, face: PosedFace) -> tf.Tensor:
        """Colour [B, N, 3] of an albedo [B, N, 3] under the face's light.

        The published variant clips it to [0, 1]; the default lets the gradient through where light over-exposes.
        """
        return shade(albedo, face.shading, clip=self.published)

    def render(self, coarse: CoarseFace, texture: tf.Tensor, crop: tf.Tensor) -> FaceReconstruction:
        """Lights a texture [B, N, 3 or 6] and draws it on the geometry of `coarse`, over the crop [B, H, W, 4]."""
        two = texture.shape[-1] == 6
        appearance, albedo = (texture[..., :3], texture[..., 3:]) if two else (texture, texture)
        # The photo is compared with the appearance; the albedo is for other views and light, and has its own target.
        colour = self.shade(appearance, coarse.face)
        rendering = interpolate(colour, self.morphable.triangles, coarse.fragments)
        mask = coarse.fragments.mask
        # Hair and hands over the face stay the photo's: the identity network and the critic expect whole pictures.
        inside = mask * crop[..., 3:]
        return FaceReconstruction(
            coarse=coarse,
            appearance=appearance,
            albedo=albedo,
            colour=colour,
            rendering=rendering,
            mask=mask,
            overlay=rendering * inside + crop[..., :3] * (1 - inside),
        )

    def terms(
        self,
        result: FaceReconstruction,
        crop: tf.Tensor,
        photo_features: tf.Tensor | None = None,
        true_albedo: tf.Tensor | None = None,
        unoccluded: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Raw loss terms of `model.losses`, to be weighted by the caller.

        Args:
          result: the reconstruction of `crop`.
          crop: [B, H, W, 4] RGBA in [0, 1].
          photo_features: [B, E2] identity features of the crop's RGB; computed here if None.
          true_albedo: [B, N, 3] RGB in [0, 1], where it is known.
          unoccluded: [B, N, 1] as `refine` had it. A face of which anything was hidden does not count in the identity
            term, which would teach the network to guess what it was not shown instead of looking closer.

        Returns:
          The terms of `texture_terms`, and `identity` if there are identity features.
        """
        terms = losses.texture_terms(
            self.loss_inputs(result, crop, true_albedo), self.morphable.skin_vertices, self.morphable.symmetric_pairs
        )
        if self.identity_features is not None:
            terms["identity"] = self._identity_term(self.identity_features, result, crop, photo_features, unoccluded)
        return terms

    def loss_inputs(
        self, result: FaceReconstruction, crop: tf.Tensor, true_albedo: tf.Tensor | None = None
    ) -> losses.LossInputs:
        """Arguments of the loss terms for a crop [B, H, W, 4] and, where it is known, its true albedo [B, N, 3]."""
        coarse = result.coarse
        # Without a true albedo the appearance stands in for it, as a constant: the albedo follows the photo's layer,
        # which must not in turn follow the albedo.
        target = tf.stop_gradient(result.appearance) if true_albedo is None else true_albedo
        return losses.LossInputs(
            image=crop[..., :3],
            image_mask=coarse.loss_mask,
            coarse_render=coarse.rendering,
            fine_render=result.rendering,
            render_mask=result.mask,
            coarse_albedo=coarse.albedo,
            fine_appearance=result.appearance,
            fine_albedo=result.albedo,
            albedo_target=target,
            coarse_colour=coarse.colour,
            fine_colour=result.colour,
            sampled_colour=coarse.sampled.colour,
            visibility=coarse.sampled.visibility,
        )

    @staticmethod
    def _identity_term(
        identity_features: Callable[[tf.Tensor], tf.Tensor],
        result: FaceReconstruction,
        crop: tf.Tensor,
        photo_features: tf.Tensor | None,
        unoccluded: tf.Tensor | None,
    ) -> tf.Tensor:
        if photo_features is None:
            photo_features = tf.stop_gradient(identity_features(crop[..., :3]))
        whole = tf.ones_like(crop[:, 0, 0, 0]) if unoccluded is None else tf.reduce_min(unoccluded, axis=[1, 2])
        # Where no face of the batch counts, the identity network and its gradient are not computed at all.
        return tf.cond(
            tf.reduce_any(whole > 0),
            lambda: losses.identity_distance(identity_features(result.overlay), photo_features, whole),
            lambda: tf.zeros([]),
        )
