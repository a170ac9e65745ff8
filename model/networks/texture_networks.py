"""Graph networks that predict the fine texture from the coarse albedo and the photo's colours."""

import keras
import numpy as np
import tensorflow as tf

from configs.network_sections import HEADS, INPUTS, VARIANTS
from lib.mesh_sampling import MeshHierarchy
from model.networks.graph_layers import ChebyshevConvolution
from model.networks.texture_branches import (
    MeshLevels,
    NormalDecoder,
    NormalRefiner,
    ResnetDecoder,
    ResnetRefiner,
    UNetRefiner,
)
from model.projection import delit_albedo

# Coarse albedo 3, colour 3, visibility 1; "mirrored" adds colour and visibility of the mirrored vertex.
_CHANNELS = {"mirrored": 11, "delit": 7, "lit": 7}
# Share of the coarse albedo where the photo does not show the skin. There, network and regressor are about as accurate,
# and their errors differ in part, so that a mean of both is nearer to the truth than either.
COARSE_WHERE_HIDDEN = 0.2


class TextureNetwork(keras.Model):
    """Embedding, coarse albedo and photo colours -> fine texture; colours are in [0, 1] outside, [-1, 1] inside.

    Args:
      hierarchy: mesh hierarchy of five levels.
      embedding_size: E, length of the image embedding.
      variant: the two branches, a decoder of the embedding and a refiner of the vertex inputs. "normal" and "resnet"
        are published; "default" has the decoder of "normal" up to level 1, and a U-Net with skips at every level.
      head: "residual": coarse + conv([branches, inputs]), where the branches end linearly. The appearance starts close
        to the de-lit projection (with inputs "lit", to the coarse albedo), the albedo close to the coarse albedo.
        "published": tanh(conv(branches)), where the branches end in ELU.
      inputs: the refiner's colour input. "delit": the photo divided by its shading, minus the coarse albedo;
        "mirrored": in addition the same for the mirrored vertex, to infer the hidden side; "lit": the photo's colour
        (published).
      intrinsic: predict two textures instead of one: the appearance, which reproduces the photo under the coarse face's
        light and so includes cast shadows and highlights, and the albedo without them.
      order: Chebyshev order K.
      nz: size of the bottleneck in the refiner of "normal".
      wide: more channels: as published in the decoder, and in the refiner of "resnet"; twice as many in the refiner of
        "default".
      dropout: dropout rate before the fully connected layers in training; 0 as published.
      mirror_index: [N] index of each vertex's mirror; required by inputs="mirrored".

    Raises:
      ValueError: an unknown option.
    """

    def __init__(
        self,
        hierarchy: MeshHierarchy,
        embedding_size: int,
        *,
        variant: str,
        head: str,
        inputs: str,
        intrinsic: bool,
        order: int,
        nz: int,
        wide: bool = False,
        dropout: float = 0.0,
        mirror_index: np.ndarray | None = None,
        name: str = "texture_network",
    ):
        super().__init__(name=name)
        for option, value, allowed in (
            ("variant", variant, VARIANTS),
            ("head", head, HEADS),
            ("inputs", inputs, INPUTS),
        ):
            if value not in allowed:
                raise ValueError(f"{option} must be one of {', '.join(allowed)}, got {value!r}")
        self.variant, self.head, self.inputs = variant, head, inputs
        self.embedding_size = embedding_size
        self.order = order
        self.hierarchy = hierarchy
        self.levels = MeshLevels(hierarchy)
        self.vertex_count = self.levels.sizes[0]
        self.channels = _CHANNELS[inputs]
        self.outputs = 6 if intrinsic else 3
        self.mirror_index = self._checked_mirror(mirror_index) if inputs == "mirrored" else None
        end = "elu" if head == "published" else None
        around = (self.levels, embedding_size, self.order, wide, dropout, end, self.outputs)
        inside = (self.levels, self.channels, self.order)
        if variant == "default":
            self.decoder = NormalDecoder(*around, finest=1)
            self.refiner = UNetRefiner(*inside, wide, end, self.outputs)
        elif variant == "normal":
            self.decoder = NormalDecoder(*around)
            self.refiner = NormalRefiner(*inside, nz, dropout, end, self.outputs)
        else:
            self.decoder = ResnetDecoder(*around)
            self.refiner = ResnetRefiner(*inside, wide, end, self.outputs)
        self.combiner = self._combiner(self.outputs * len(self.branches))
        self.built = True

    @property
    def branches(self) -> list:
        """Branches, in the order of their outputs."""
        return [self.decoder, self.refiner]

    def _checked_mirror(self, mirror_index) -> tf.Tensor:
        if mirror_index is None or len(mirror_index) != self.vertex_count:
            got = "none" if mirror_index is None else f"{len(mirror_index)}"
            raise ValueError(f"mirror_index must name the mirror of each of {self.vertex_count} vertices, got {got}")
        return tf.constant(mirror_index, tf.int32)

    def _combiner(self, branch_channels: int) -> ChebyshevConvolution:
        residual = self.head == "residual"
        layer = ChebyshevConvolution(
            self.levels.laplacian[0],
            self.outputs,
            self.order,
            use_bias=residual,
            activation=None,
            scale=0.1 if residual else 1.0,
            name="mesh_concat",
        )
        layer.build((None, None, branch_channels + (self.channels if residual else 0)))
        if residual and self.inputs != "lit":
            # An identity (T_0) for the visible difference to the coarse albedo, so that training starts from the
            # de-lit projection. Without it, the demo's few epochs do not even reach the projection.
            weight = layer.weight.numpy()
            for channel in range(3):
                weight[(branch_channels + 3 + channel) * self.order, channel] += 1.0
            layer.weight.assign(weight)
        return layer

    def call(self, embedding, coarse_albedo, sampled_colour, visibility, shading, training=False):
        """Predicts the fine textures of a batch of faces.

        Args:
          embedding: [B, E].
          coarse_albedo: [B, N, 3] in [0, 1].
          sampled_colour: [B, N, 3] in [0, 1], the photo's colours at the vertices; ignored where not visible.
          visibility: [B, N, 1] in [0, 1].
          shading: [B, N, 3], colour = albedo x shading; not used by inputs="lit".
          training: apply dropout; return the network's own albedo, without coarse albedo where hidden.

        Returns:
          [B, N, 3] albedo, or [B, N, 6] appearance and albedo. The published head keeps them inside [0, 1]; the
          residual head does not clip, so that gradients survive.
        """
        vertex_inputs = self.vertex_inputs(coarse_albedo, sampled_colour, visibility, shading)
        texture = (self.network(embedding, vertex_inputs, training=training) + 1.0) / 2.0
        if training or self.outputs == 3:
            return texture
        appearance, albedo = tf.split(texture, 2, axis=-1)
        hidden = COARSE_WHERE_HIDDEN * (1.0 - visibility)
        return tf.concat([appearance, albedo + hidden * (coarse_albedo - albedo)], axis=-1)

    def vertex_inputs(self, coarse_albedo, sampled_colour, visibility, shading):
        """Refiner input [B, N, 7 or 11]: coarse albedo in [-1, 1], colour (or difference to the albedo), visibility."""
        if self.inputs == "lit":
            colour = 2.0 * sampled_colour - 1.0
        else:
            colour = 2.0 * (delit_albedo(sampled_colour, shading) - coarse_albedo)
        seen = tf.concat([colour * visibility, visibility], axis=-1)
        sides = [seen] if self.mirror_index is None else [seen, tf.gather(seen, self.mirror_index, axis=1)]
        return tf.concat([2.0 * coarse_albedo - 1.0, *sides], axis=-1)

    def network(self, embedding, vertex_inputs, training=False):
        """Network on its internal colour range: [B, E], [B, N, 7 or 11] -> texture [B, N, 3 or 6] in [-1, 1]."""
        outputs = self.branch_outputs(embedding, vertex_inputs, training=training)
        x = tf.transpose(vertex_inputs, [1, 0, 2])
        if self.head == "published":
            fine = tf.tanh(self.combiner(tf.concat(outputs, axis=-1)))
        else:
            coarse = tf.tile(x[..., :3], [1, 1, self.outputs // 3])
            fine = coarse + self.combiner(tf.concat([*outputs, x], axis=-1))
        return tf.transpose(fine, [1, 0, 2])

    def branch_outputs(self, embedding, vertex_inputs, training=False) -> list:
        """Outputs of the branches, [N, B, 3 or 6] each (vertices first), in the order of `branches`."""
        x = tf.transpose(vertex_inputs, [1, 0, 2])
        return [self.decoder(embedding, training=training), self.refiner(x, training=training)]

    def regularised_variables(self) -> list[keras.Variable]:
        """Weights and biases of the fully connected layers, the only variables in the published L2 term."""
        return [variable for branch in self.branches for variable in branch.fully_connected_variables()]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Published name below mesh_generator/ -> variable, e.g. "mesh_decoder/fc/weights"."""
        names = {"mesh_concat/weights": self.combiner.weight}
        if self.combiner.bias is not None:
            names["mesh_concat/bias"] = self.combiner.bias
        for branch in self.branches:
            names |= branch.named_variables()
        return names
