"""Branches of the texture networks: decoders (embedding -> colours) and refiners (vertex inputs -> colours).

Every branch returns signals [N, B, C] on the finest mesh level and maps its variables to their published names.
"""

import keras
import tensorflow as tf

from lib.mesh_sampling import MeshHierarchy
from model.networks.graph_layers import ChebyshevConvolution, ResidualBlock, laplacian_product
from model.networks.products.dense import multiply
from model.networks.products.sparse import SparseProduct


class MeshLevels:
    """Sparse products with a hierarchy's matrices, shared by all branches so that each is stored and compiled once.

    Args:
      hierarchy: mesh hierarchy of five levels.
    """

    def __init__(self, hierarchy: MeshHierarchy):
        if len(hierarchy.level_sizes) != 5:
            raise ValueError(f"hierarchy must have five levels, got {len(hierarchy.level_sizes)}")
        self.sizes = tuple(hierarchy.level_sizes)
        self.laplacian = tuple(laplacian_product(matrix) for matrix in hierarchy.laplacian)
        self.down = tuple(SparseProduct(matrix, symmetric=False) for matrix in hierarchy.down)
        self.up = tuple(SparseProduct(matrix, symmetric=False) for matrix in hierarchy.up)


class RowDropout(keras.layers.Dropout):
    """Dropout whose masks do not depend on how a batch is divided among processes.

    Attributes:
      part: index of the part of the batch that this process computes.
      parts: number of parts.
    """

    part, parts = 0, 1

    def call(self, x, training=False):
        """[B, inputs] -> [B, inputs]."""
        if self.parts == 1 or not training:
            return super().call(x, training=training)
        # The mask of each row depends on the number of rows.
        whole = super().call(tf.tile(x, [self.parts, 1]), training=training)
        return tf.split(whole, self.parts)[self.part]


class FullyConnected(keras.layers.Layer):
    """Dropout, then ReLU(x W + b); published initial values (truncated He normal weights, zero bias)."""

    def __init__(self, inputs: int, units: int, dropout: float, name: str):
        super().__init__(name=name)
        self.dropout = RowDropout(dropout, name=f"{name}_dropout")
        self.dense = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)
        self.dense.build((None, inputs))
        self.built = True

    def call(self, x, training=False):
        """[B, inputs] -> [B, units]."""
        # `multiply` offers large products to the optimizer as thin gradients; the layer's own call would not.
        return tf.nn.relu(multiply(self.dropout(x, training=training), self.dense.kernel) + self.dense.bias)


class Branch(keras.layers.Layer):
    """Base class: mesh levels, order, final activation, and the published names of the variables.

    Args:
      levels: MeshLevels.
      order: Chebyshev order K of all convolutions.
      final_activation: "elu" as published; None for the residual head, whose correction can have either sign.
      name: "mesh_decoder" or "mesh_refiner".
    """

    def __init__(self, levels: MeshLevels, order: int, final_activation: str | None, name: str):
        super().__init__(name=name)
        self.levels, self.order, self.final_activation = levels, order, final_activation
        self.scopes: list[str] = []

    def convolution(self, scope: str, level: int, inputs: int, filters: int, **options) -> ChebyshevConvolution:
        """Builds a convolution whose published variables are <branch>/<scope>/weights and bias."""
        layer = ChebyshevConvolution(
            self.levels.laplacian[level],
            filters,
            self.order,
            name=f"{self.name}_{scope or 'output'}",
            **options,
        )
        return self._register(scope, layer, inputs)

    def residual(self, scope: str, level: int, inputs: int, filters: int, **options) -> ResidualBlock:
        """Builds a residual block, published under <branch>/<scope>."""
        layer = ResidualBlock(self.levels.laplacian[level], filters, self.order, name=f"{self.name}_{scope}", **options)
        return self._register(scope, layer, inputs)

    def fully_connected(self, scope: str, inputs: int, units: int, dropout: float) -> FullyConnected:
        """Builds a fully connected layer, published under <branch>/<scope>."""
        return self._register(scope, FullyConnected(inputs, units, dropout, f"{self.name}_{scope}"), None)

    def _register(self, scope: str, layer, inputs: int | None):
        if inputs is not None:
            layer.build((None, None, inputs))
        setattr(self, f"layer_{scope or 'output'}", layer)
        self.scopes.append(scope)
        return layer

    def layer(self, scope: str):
        """Layer published under a scope; "" for the layer whose variables lie directly under the branch's name."""
        return getattr(self, f"layer_{scope or 'output'}")

    def named_variables(self) -> dict[str, keras.Variable]:
        """Published name -> variable, e.g. "mesh_refiner/graph_conv1/weights"."""
        return {
            "/".join(part for part in (self.name, scope, name) if part): variable
            for scope in self.scopes
            for name, variable in _variables(self.layer(scope)).items()
        }

    def fully_connected_variables(self) -> list[keras.Variable]:
        """Weights and biases of the fully connected layers, the variables in the published L2 term."""
        layers = [self.layer(scope) for scope in self.scopes]
        return [v for layer in layers if isinstance(layer, FullyConnected) for v in layer.trainable_variables]


def _variables(layer) -> dict[str, keras.Variable]:
    if isinstance(layer, FullyConnected):
        return {"weights": layer.dense.kernel, "bias": layer.dense.bias}
    if isinstance(layer, ResidualBlock):
        names = {
            "filter1/weights": layer.first.weight,
            "bias_relu1/bias": layer.first.bias,
            "filter2/weights": layer.second.weight,
            "bias_relu2/bias": layer.second.bias,
        }
        return names if layer.shortcut is None else names | {"shortcut/weights": layer.shortcut.weight}
    return {"weights": layer.weight} if layer.bias is None else {"weights": layer.weight, "bias": layer.bias}


def vertices_of(flat, vertex_count: int):
    """Reshapes vertex-major [B, N C] to [N, B, C]."""
    shape = [tf.shape(flat)[0], vertex_count, flat.shape[1] // vertex_count]
    return tf.transpose(tf.reshape(flat, shape), [1, 0, 2])


def flattened(x):
    """Reshapes [N, B, C] to vertex-major [B, N C]."""
    return tf.reshape(tf.transpose(x, [1, 0, 2]), [tf.shape(x)[1], x.shape[0] * x.shape[2]])


class NormalDecoder(Branch):
    """Published decoder of `normal`: embedding -> 32 channels on the coarsest level, then upsample and convolve.

    Args:
      finest: finest level with convolutions, 0 as published; colours are interpolated to the levels below. Since an
        embedding describes only smooth colours, the default variant saves the most expensive convolutions this way.
    """

    def __init__(
        self,
        levels,
        embedding_size: int,
        order: int,
        wide: bool,
        dropout: float,
        final_activation,
        outputs: int = 3,
        finest: int = 0,
    ):
        super().__init__(levels, order, final_activation, "mesh_decoder")
        widths = (32, 32, 64, 128, 256) if wide else (32, 16, 16, 16, 16)
        self.finest = finest
        self.fc = self.fully_connected("fc", embedding_size, levels.sizes[4] * widths[0], dropout)
        for i in range(1, 5 - finest):
            self.convolution(f"upconv{i}", 4 - i, widths[i - 1], widths[i])
        self.output_layer = self.convolution("", finest, widths[4 - finest], outputs, activation=final_activation)

    def call(self, embedding, training=False):
        """[B, E] -> [N, B, outputs]."""
        x = vertices_of(self.fc(embedding, training=training), self.levels.sizes[4])
        for i in range(1, 5 - self.finest):
            x = self.layer(f"upconv{i}")(self.levels.up[4 - i](x))
        x = self.output_layer(x)
        for level in reversed(range(self.finest)):
            x = self.levels.up[level](x)
        return x


class NormalRefiner(Branch):
    """Published refiner of `normal`: encoder and decoder with a bottleneck of `nz` numbers, skips at levels 3 and 2."""

    def __init__(self, levels, inputs: int, order: int, nz: int, dropout: float, final_activation, outputs: int = 3):
        super().__init__(levels, order, final_activation, "mesh_refiner")
        widths = (16, 32, 64, 128)
        bottleneck = levels.sizes[4] * widths[3]
        self.stem = self.convolution("graph_conv0", 0, inputs, widths[0], use_bias=False, activation=None)
        # As published, widths are shifted by one level: level 1 has widths[0] channels, level 4 has widths[3].
        for i in range(1, 5):
            self.convolution(f"graph_conv{i}", i, widths[max(i - 2, 0)], widths[i - 1])
        self.fc = self.fully_connected("fc", bottleneck, nz, dropout)
        self.fc2 = self.fully_connected("fc2", nz, bottleneck, dropout)
        incoming = (widths[3] + widths[2], widths[3] + widths[1], widths[2], widths[1])
        for i in range(1, 5):
            self.convolution(f"graph_conv{4 + i}", 4 - i, incoming[i - 1], widths[4 - i])
        self.output_layer = self.convolution("", 0, widths[0], outputs, activation=final_activation)

    def call(self, x, training=False):
        """[N, B, inputs] -> [N, B, outputs]."""
        x, skips = self.stem(x), {}
        for i in range(1, 5):
            x = skips[i] = self.layer(f"graph_conv{i}")(self.levels.down[i - 1](x))
        x = self.fc2(self.fc(flattened(x), training=training), training=training)
        x = vertices_of(x, self.levels.sizes[4])
        for i in range(1, 5):
            x = self.levels.up[4 - i](x)
            if i <= 2:
                x = tf.concat([x, skips[4 - i]], axis=-1)
            x = self.layer(f"graph_conv{4 + i}")(x)
        return self.output_layer(x)


class ResnetDecoder(Branch):
    """Published decoder of `resnet`: four residual blocks, each after one upsampling step."""

    def __init__(
        self, levels, embedding_size: int, order: int, wide: bool, dropout: float, final_activation, outputs: int = 3
    ):
        super().__init__(levels, order, final_activation, "mesh_decoder")
        widths = (32, 64, 128, 256, outputs) if wide else (32, 16, 16, 16, outputs)
        self.fc = self.fully_connected("fc", embedding_size, levels.sizes[4] * widths[0], dropout)
        for i in range(1, 5):
            activation = final_activation if i == 4 else "elu"
            self.residual(f"resblock{i}", 4 - i, widths[i - 1], widths[i], activation=activation)

    def call(self, embedding, training=False):
        """[B, E] -> [N, B, outputs]."""
        x = vertices_of(self.fc(embedding, training=training), self.levels.sizes[4])
        for i in range(1, 5):
            x = self.layer(f"resblock{i}")(self.levels.up[4 - i](x))
        return x


class ResnetRefiner(Branch):
    """Published refiner of `resnet`: residual blocks on levels 0, 1, 1, 0, 0."""

    def __init__(self, levels, inputs: int, order: int, wide: bool, final_activation, outputs: int = 3):
        super().__init__(levels, order, final_activation, "mesh_refiner")
        widths = (inputs, 16, 32, 64, 128, outputs) if wide else (inputs, 16, 32, 32, 16, outputs)
        for i, level in enumerate((0, 1, 1, 0, 0), start=1):
            activation = final_activation if i == 5 else "elu"
            self.residual(f"resblock{i}", level, widths[i - 1], widths[i], activation=activation)

    def call(self, x, training=False):
        """[N, B, inputs] -> [N, B, outputs]."""
        x = self.layer("resblock1")(x)
        x = self.layer("resblock3")(self.layer("resblock2")(self.levels.down[0](x)))
        return self.layer("resblock5")(self.layer("resblock4")(self.levels.up[0](x)))


class UNetRefiner(Branch):
    """Refiner of the default variant: a U-Net; its skips at every level carry the photo's detail to the output."""

    def __init__(self, levels, inputs: int, order: int, wide: bool, final_activation, outputs: int = 3):
        super().__init__(levels, order, final_activation, "mesh_refiner")
        widths = (32, 64, 128, 128, 128) if wide else (16, 32, 64, 64, 64)
        for i, width in enumerate(widths):
            self.convolution(f"down{i}", i, widths[i - 1] if i else inputs, width)
        for i in reversed(range(4)):
            self.convolution(f"up{i}", i, widths[i + 1] + widths[i], widths[i])
        self.output_layer = self.convolution("", 0, widths[0], outputs, activation=final_activation)

    def call(self, x, training=False):
        """[N, B, inputs] -> [N, B, outputs]."""
        skips = [self.layer("down0")(x)]
        for i in range(1, 5):
            skips.append(self.layer(f"down{i}")(self.levels.down[i - 1](skips[-1])))
        x = skips[4]
        for i in reversed(range(4)):
            x = self.layer(f"up{i}")(tf.concat([self.levels.up[i](x), skips[i]], axis=-1))
        return self.output_layer(x)
