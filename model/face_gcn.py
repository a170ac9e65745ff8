"""The method in the order of the paper's figure: from a face crop to a face with its fine texture, and to its loss.

    crop [B, H, W, 4]        coefficients [B, K]                      embedding [B, E]
      │                        │ morphable model, camera                │
      │                        v                                        │
      │             1. coarse face: vertices, albedo, shading; fragments, rasterised once
      │                │ vertices, fragments   │ albedo, shading        │
      │                v                       │                        │
      └──> 2. sampled colours, visibility      │                        │
                       │                       │                        v
                       └─> vertex inputs <─────┘                     decoder
                             │       └───────> refiner ─────┐           │
                             └─(residual head)────────> 3. combine <────┘
                                                            │
                   albedo (exported; in 6), appearance [B, N, 3]
                                                │
                         appearance x shading = 4. colour (shade)
                                                │ fragments of 1
                                                v
                                5. rendering, overlay on the crop
                                                v
                     6. loss terms: pixels, vertex colours, identity, albedo

`FaceGCN` has one method per step: `coarse` and `sample_crop` (1, 2), `refine` (3), `shade` and `render` (4, 5), `terms`
(6). Decoder, refiner and combination are `model.networks.texture_networks`; the terms' formulas are `model.losses`.

Coefficients and embedding come from the frozen networks (`model.networks.encoding`). In training they are constants of
each crop; in test mode the coefficients are fitted to the photo. Only the texture network receives gradients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
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
    """The coarse face given by the coefficients, with the crop's colours at its vertices.

    Attributes:
      face: geometry, normals, shading, landmarks.
      albedo: [B, N, 3] RGB in [0, 1].
      colour: [B, N, 3] the albedo under light.
      fragments: the triangle seen at each pixel; rasterised once and used for every rendering of this geometry.
      rendering: [B, H, W, 3] RGB, 0 in the background.
      sampled: the crop's colours at the vertices, and visibility.
      loss_mask: [B, H, W, 1] in [0, 1], weights of the crop's pixels in the loss.
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
    """The face of a crop with its fine texture.

    Attributes:
      coarse: the face before refinement.
      appearance: [B, N, 3] RGB texture that reproduces the photo under the coarse face's light; it includes shadows and
        highlights that this light does not model. It may leave [0, 1], depending on the texture network's head.
      albedo: [B, N, 3] colour of the skin itself, for other views and other light; equal to the appearance if the
        network predicts only one texture.
      colour: [B, N, 3] the appearance under light.
      rendering: [B, H, W, 3] RGB, 0 in the background.
      mask: [B, H, W, 1] 1 where the face is rendered.
      overlay: [B, H, W, 3] the rendering where it and the crop's alpha overlap, the crop elsewhere.
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
      morphable: the face model as TensorFlow constants.
      camera: the crops' camera, with their image size.
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
        self.identity_features = identity_features

    def __call__(
        self, crop: tf.Tensor, coefficients: tf.Tensor, embedding: tf.Tensor, training: bool = False
    ) -> FaceReconstruction:
        """Steps 1 to 5 for crops [B, H, W, 4], coefficients [B, K] and embeddings [B, E]."""
        coarse = self.coarse(coefficients, crop)
        texture = self.refine(embedding, coarse, training)
        return self.render(coarse, texture, crop)

    def coarse(self, coefficients: tf.Tensor, crop: tf.Tensor, gaze: np.ndarray | None = None) -> CoarseFace:
        """Poses, lights and rasterises the face of the coefficients and reads the crop at its vertices.

        Args:
          coefficients: [B, K] in the layout of the face model.
          crop: [B, H, W, 4] RGBA in [0, 1], alpha 1 on skin.
          gaze: [2] where the eyes turn, see `model.gaze`; None leaves them straight ahead.
        """
        if tuple(crop.shape[1:]) != (*self.camera.image_size, 4):
            expected = ", ".join(map(str, self.camera.image_size))
            raise ValueError(f"crop must be [B, {expected}, 4] RGBA, got {list(crop.shape)}")
        face = self.morphable.posed(coefficients, self.camera, gaze)
        # Far from the mean, the linear model leaves the range of valid colours; the networks' inputs must not.
        albedo = tf.clip_by_value(face.albedo, 0.0, 1.0)
        colour = self.shade(albedo, face)
        triangles = self.morphable.triangles
        # Refinement changes colours, not geometry, so one rasterisation serves all renderings.
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
            # The published projection has no depth test; eroding the mask keeps most background colours out.
            eroded = published_erosion(alpha)
            return published_projection(image, eroded, points, face.normals), eroded
        sampled = zbuffer_projection(
            image, alpha, self.camera, points, face.vertices, face.normals, self.morphable.triangles, fragments
        )
        return sampled, alpha

    def refine(
        self, embedding: tf.Tensor, coarse: CoarseFace, training: bool = False, unoccluded: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Predicts the fine texture with the texture network (decoder, refiner and their combination).

        Args:
          embedding: [B, E] image embedding, the decoder's input.
          coarse: the coarse face; its albedo and the crop's colours are the refiner's input.
          training: apply dropout.
          unoccluded: [B, N, 1], 0 at vertices to hide from the network (artificial occlusion), else 1; None hides none.

        Returns:
          [B, N, 3], or [B, N, 6] from a network with two textures: appearance, then albedo.
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

        The published variant clips it to [0, 1]. The default does not, so gradients survive overexposure.
        """
        return shade(albedo, face.shading, clip=self.published)

    def render(self, coarse: CoarseFace, texture: tf.Tensor, crop: tf.Tensor) -> FaceReconstruction:
        """Lights a texture [B, N, 3 or 6] and renders it on the geometry of `coarse`, over the crop [B, H, W, 4]."""
        two = texture.shape[-1] == 6
        appearance, albedo = tf.split(texture, 2, axis=-1) if two else (texture, texture)
        # The appearance is what is compared with the photo; the albedo has its own target (`loss_inputs`).
        colour = self.shade(appearance, coarse.face)
        rendering = interpolate(colour, self.morphable.triangles, coarse.fragments)
        mask = coarse.fragments.mask
        # Hair and hands in front of the face stay as in the photo: identity network and critic expect whole pictures.
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
        mean: Callable[[Sequence[tf.Tensor]], Sequence[tf.Tensor]] = tuple,
    ) -> dict[str, tf.Tensor]:
        """Unweighted loss terms (`model.losses`).

        Args:
          result: the reconstruction of `crop`.
          crop: [B, H, W, 4] RGBA in [0, 1].
          photo_features: [B, E2] identity features of the crop's RGB; computed here if None.
          true_albedo: [B, N, 3] RGB in [0, 1], or what stands for it; None if unknown.
          unoccluded: [B, N, 1] as passed to `refine`. Faces with hidden vertices are left out of the identity term,
            which would otherwise teach the network to guess hidden parts instead of using the visible ones.
          mean: see `texture_terms`.

        Returns:
          The terms of `texture_terms`, plus `identity` if there is an identity network.
        """
        terms = losses.texture_terms(
            self.loss_inputs(result, crop, true_albedo),
            self.morphable.skin_vertices,
            self.morphable.symmetric_pairs,
            mean,
        )
        if self.identity_features is not None:
            terms["identity"] = self._identity_term(self.identity_features, result, crop, photo_features, unoccluded)
        return terms

    def loss_inputs(
        self, result: FaceReconstruction, crop: tf.Tensor, true_albedo: tf.Tensor | None = None
    ) -> losses.LossInputs:
        """Inputs of the loss terms for a crop [B, H, W, 4] and its true albedo [B, N, 3], if known."""
        coarse = result.coarse
        # Without a true albedo, the appearance is the albedo's target. stop_gradient keeps this term from pulling the
        # appearance, which must follow the photo, towards the albedo.
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
        if unoccluded is None:
            return losses.identity_distance(identity_features(result.overlay), photo_features)
        whole = tf.reduce_min(unoccluded, axis=[1, 2])
        # If every face of the batch has hidden vertices, skip the identity network and its gradient.
        return losses.conditional_term(
            tf.reduce_any(whole > 0),
            lambda overlay: losses.identity_distance(identity_features(overlay), photo_features, whole),
            result.overlay,
        )
