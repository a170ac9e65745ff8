"""The published formulation of a training step, as the peer of `benchmarks.training_step`.

Written from the description of the paper's program: signals are [B, N, C] and are transposed around each product by
TensorFlow's sparse-dense kernel; the Laplacian is rescaled in each layer; the frozen networks run in every step, the
identity network on the photo as well as on the rendering; coarse and fine face are rasterised separately; each
variable's gradient is stored, clipped by its norm and applied by TensorFlow's Adam. The variables, the renderer and the
loss terms are those of this program, so that both steps compute the same numbers.
"""

import dataclasses

import numpy as np
import scipy.sparse
import tensorflow as tf

from lib.mesh_renderer.fragments import rasterize
from lib.mesh_sampling import MeshHierarchy
from model import losses
from model.pipeline import Pipeline

ORDER = 6


class PublishedStep:
    """Compiled step: crops [B, H, W, 4] -> loss, after which the variables are updated.

    Args:
      pipeline: components of configs/paper.yaml.
      hierarchy: the mesh levels of its network.
      weights: weight of each loss term.
    """

    def __init__(self, pipeline: Pipeline, hierarchy: MeshHierarchy, weights: dict[str, float]):
        self.pipeline, self.hierarchy, self.weights = pipeline, hierarchy, weights
        network = pipeline.texture_network
        self.named = network.named_variables()
        self.variables = [variable.value for variable in network.trainable_variables]
        self.slots = [[tf.Variable(tf.zeros(v.shape)) for _ in range(2)] for v in self.variables]
        self.steps = tf.Variable(0.0)
        pipeline.face_gcn.texture_network = self.texture

    @tf.function
    def __call__(self, crop: tf.Tensor) -> tf.Tensor:
        gcn, config = self.pipeline.face_gcn, self.pipeline.config
        image = crop[..., :3]
        coefficients, features = self.pipeline.regressor(image, training=False)
        photo = tf.stop_gradient(self.pipeline.identity(image, training=False))
        coarse = gcn.coarse(coefficients, crop)
        with tf.GradientTape() as tape:
            texture = gcn.refine(tf.concat([features, photo], axis=-1), coarse, training=True)
            clip = gcn.camera.clip_coordinates(coarse.face.vertices)
            fragments = rasterize(clip, gcn.morphable.triangles, gcn.camera.image_size)
            result = gcn.render(dataclasses.replace(coarse, fragments=fragments), texture, crop)
            terms = gcn.terms(result, crop, photo)
            decayed = self.pipeline.texture_network.regularised_variables()
            terms["weight_decay"] = tf.add_n([tf.nn.l2_loss(variable) for variable in decayed])
            total = losses.weighted_total(terms, self.weights)
        gradients = tape.gradient(total, self.variables)
        self.steps.assign_add(1.0)
        for variable, gradient, (momentum, velocity) in zip(self.variables, gradients, self.slots, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=momentum.handle, v=velocity.handle, lr=config.train.learning_rate,
                beta1_power=tf.pow(0.9, self.steps), beta2_power=tf.pow(0.999, self.steps),
                beta1=0.9, beta2=0.999, epsilon=1e-8, grad=tf.clip_by_norm(gradient, config.train.clip_norm),
            )  # fmt: skip
        return total

    def texture(self, embedding, coarse_albedo, sampled_colour, visibility, shading, training=False) -> tf.Tensor:
        """The texture network `normal` with its published head, as `TextureNetwork.call`."""
        inputs = [2.0 * coarse_albedo - 1.0, (2.0 * sampled_colour - 1.0) * visibility, visibility]
        branches = [self._decoder(embedding), self._refiner(tf.concat(inputs, axis=-1))]
        fine = tf.tanh(self._convolution(tf.concat(branches, axis=-1), "mesh_concat", 0, elu=False))
        return (fine + 1.0) / 2.0

    def _decoder(self, embedding: tf.Tensor) -> tf.Tensor:
        x = self._vertices(self._dense(embedding, "mesh_decoder/fc"))
        for i in range(1, 5):
            x = self._convolution(self._sample(x, self.hierarchy.up[4 - i]), f"mesh_decoder/upconv{i}", 4 - i)
        return self._convolution(x, "mesh_decoder", 0)

    def _refiner(self, x: tf.Tensor) -> tf.Tensor:
        x, skips = self._convolution(x, "mesh_refiner/graph_conv0", 0, elu=False), {}
        for i in range(1, 5):
            x = self._convolution(self._sample(x, self.hierarchy.down[i - 1]), f"mesh_refiner/graph_conv{i}", i)
            skips[i] = x
        x = self._dense(tf.reshape(x, [x.shape[0], -1]), "mesh_refiner/fc")
        x = self._vertices(self._dense(x, "mesh_refiner/fc2"))
        for i in range(1, 5):
            x = self._sample(x, self.hierarchy.up[4 - i])
            if i <= 2:
                x = tf.concat([x, skips[4 - i]], axis=-1)
            x = self._convolution(x, f"mesh_refiner/graph_conv{4 + i}", 4 - i)
        return self._convolution(x, "mesh_refiner", 0)

    def _dense(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.relu(tf.matmul(x, self.named[f"{name}/weights"].value) + self.named[f"{name}/bias"].value)

    def _vertices(self, flat: tf.Tensor) -> tf.Tensor:
        count = self.hierarchy.level_sizes[4]
        return tf.reshape(flat, [flat.shape[0], count, flat.shape[1] // count])

    def _convolution(self, x: tf.Tensor, name: str, level: int, elu: bool = True) -> tf.Tensor:
        """Chebyshev convolution [B, N, C_in] -> [B, N, C_out] with bias and activation."""
        laplacian = scipy.sparse.csr_matrix(self.hierarchy.laplacian[level], dtype=np.float32)
        matrix = sparse_tensor(laplacian - scipy.sparse.identity(laplacian.shape[0], dtype=np.float32, format="csr"))
        result = chebyshev_convolution(matrix, x, self.named[f"{name}/weights"].value, ORDER)
        if f"{name}/bias" in self.named:
            result += self.named[f"{name}/bias"].value
        return tf.nn.elu(result) if elu else result

    @staticmethod
    def _sample(x: tf.Tensor, matrix: scipy.sparse.spmatrix) -> tf.Tensor:
        """Moves [B, N, C] to another mesh level."""
        batch, count, width = x.shape
        flat = tf.reshape(tf.transpose(x, [1, 2, 0]), [count, width * batch])
        moved = tf.sparse.sparse_dense_matmul(sparse_tensor(matrix), flat)
        return tf.transpose(tf.reshape(moved, [matrix.shape[0], width, batch]), [2, 0, 1])


def chebyshev_convolution(matrix: tf.SparseTensor, x: tf.Tensor, weights: tf.Tensor, order: int) -> tf.Tensor:
    """Chebyshev convolution as published: the basis from sparse products, then one matrix multiplication.

    Args:
      matrix: rescaled Laplacian [N, N].
      x: [B, N, C_in].
      weights: [C_in K, C_out], K fastest.
      order: K, at least 2.

    Returns:
      [B, N, C_out].
    """
    batch, count, width = x.shape
    basis = [tf.reshape(tf.transpose(x, [1, 2, 0]), [count, width * batch])]
    basis.append(tf.sparse.sparse_dense_matmul(matrix, basis[0]))
    for _ in range(2, order):
        basis.append(2.0 * tf.sparse.sparse_dense_matmul(matrix, basis[-1]) - basis[-2])
    stacked = tf.reshape(tf.stack(basis), [order, count, width, batch])
    columns = tf.reshape(tf.transpose(stacked, [3, 1, 2, 0]), [batch * count, width * order])
    return tf.reshape(tf.matmul(columns, weights), [batch, count, weights.shape[1]])


def sparse_tensor(matrix: scipy.sparse.spmatrix) -> tf.SparseTensor:
    """A SciPy matrix as TensorFlow's."""
    matrix = scipy.sparse.coo_matrix(matrix, dtype=np.float32)
    indices = np.stack([matrix.row, matrix.col], axis=1).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(indices, matrix.data, matrix.shape))
