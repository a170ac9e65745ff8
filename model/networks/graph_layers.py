"""Layers on mesh vertices: Chebyshev convolutions, sampling between levels, residual blocks.

Inside the graph networks, signals are [N, B, C], vertices first: a sparse [M, N] matrix can then multiply the [N, B C]
view, and a dense weight matrix the [N B, C] view, without transposing the data.

Gradients are correct to any order. Training needs only first derivatives of these layers: the one second derivative,
in the critic's gradient penalty, is with respect to images.
"""

from collections.abc import Sequence

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from model.networks.products.sparse import SparseProduct


def rescaled_laplacian(laplacian: scipy.sparse.spmatrix) -> scipy.sparse.csr_matrix:
    """L - I: shifts the spectrum of the normalised Laplacian from [0, 2] to [-1, 1], where Chebyshev polynomials live.

    The largest eigenvalue is taken to be 2, its upper bound.
    """
    identity = scipy.sparse.identity(laplacian.shape[0], dtype=np.float32, format="csr")
    rescaled = scipy.sparse.csr_matrix(laplacian, dtype=np.float32) - identity
    rescaled.eliminate_zeros()
    return rescaled


def laplacian_product(laplacian: scipy.sparse.spmatrix) -> SparseProduct:
    """Product with the rescaled Laplacian of a mesh level, to be shared by all convolutions on that level."""
    return SparseProduct(rescaled_laplacian(laplacian), symmetric=True)


def chebyshev_basis(product: SparseProduct, x, order: int) -> list:
    """Chebyshev basis T_0(L) x ... T_(K-1)(L) x with T_0 = 1, T_1 = L, T_k = 2 L T_(k-1) - T_(k-2).

    Args:
      product: product with the rescaled Laplacian L.
      x: [N, ...].
      order: K, at least 1.
    """

    # Each recursion is the gradient of the other, since L is symmetric: nothing inside needs to be differentiated.
    @tf.custom_gradient
    def recursion(x):
        basis = [x]
        if order > 1:
            basis.append(product.forward(x))
        for _ in range(2, order):
            basis.append(product.forward(basis[-1], basis[-2], 2.0, -1.0))
        return basis, lambda *slopes: clenshaw_sum(product, slopes)

    return recursion(x)


def clenshaw_sum(product: SparseProduct, coefficients: Sequence):
    """Clenshaw's recursion for sum_k T_k(L) c_k with signals c_k [N, ...]; K - 1 sparse products at the width of c_k.

    b_k = c_k + 2 L b_(k+1) - b_(k+2); the sum is c_0 + L b_1 - b_2.
    """
    if len(coefficients) == 1:
        return coefficients[0]

    @tf.custom_gradient
    def recursion(*coefficients):
        last, before = coefficients[-1], None
        for coefficient in reversed(coefficients[1:-1]):
            rest = coefficient if before is None else coefficient - before
            last, before = product.forward(last, rest, 2.0), last
        rest = coefficients[0] if before is None else coefficients[0] - before
        return product.forward(last, rest), lambda slope: chebyshev_basis(product, slope, len(coefficients))

    return recursion(*coefficients)


def chebyshev_convolution(product: SparseProduct, x, weights, order: int):
    """Chebyshev convolution sum_k T_k(L) x W_k, with sparse products at the smaller of the two channel counts.

    C_in <= C_out: build the Chebyshev basis of x, then one matrix multiplication. C_in > C_out: one matrix
    multiplication, then Clenshaw's recursion. Each is the transpose of the other, so the backward pass uses the other
    one, at the same width.

    Args:
      product: product with the rescaled Laplacian.
      x: [N, B, C_in].
      weights: [C_in K, C_out], K fastest.
      order: K.

    Returns:
      [N, B, C_out].
    """
    if order == 1:
        return _multiply(x, weights)
    # Channels of zeros cost less than products at a width that the kernel is slow at.
    width, filters = x.shape[-1], weights.shape[-1]
    narrow_input = width <= filters
    missing = -(width if narrow_input else filters) % product.favoured_multiple
    if missing and narrow_input:
        x, weights = tf.pad(x, [[0, 0], [0, 0], [0, missing]]), tf.pad(weights, [[0, missing * order], [0, 0]])
    elif missing:
        weights = tf.pad(weights, [[0, 0], [0, missing]])

    @tf.custom_gradient
    def convolve(x, weights):
        width, filters = x.shape[-1], weights.shape[-1]
        by_order = tf.transpose(tf.reshape(weights, [width, order, filters]), [1, 0, 2])  # [K, C_in, C_out]
        if narrow_input:
            basis = tf.concat(chebyshev_basis(product, x, order), axis=-1)
            result = _multiply(basis, tf.reshape(by_order, [order * width, filters]))
        else:
            result = clenshaw_sum(product, _multiply_each(x, by_order))

        def gradient(upstream):
            if narrow_input:
                gradient_x = clenshaw_sum(product, _multiply_each(upstream, by_order, transpose=True))
                gradient_stacked = tf.reshape(_outer(basis, upstream), [order, width, filters])
                gradient_by_order = tf.transpose(gradient_stacked, [1, 0, 2])
            else:
                upstream_basis = tf.concat(chebyshev_basis(product, upstream, order), axis=-1)
                stacked = tf.reshape(tf.transpose(by_order, [1, 0, 2]), [width, order * filters])
                gradient_x = _multiply(upstream_basis, stacked, transpose=True)
                gradient_by_order = tf.reshape(_outer(x, upstream_basis), [width, order, filters])
            return gradient_x, tf.reshape(gradient_by_order, [width * order, filters])

        return result, gradient

    result = convolve(x, weights)
    # Brackets would have a slow gradient.
    return result if result.shape[-1] == filters else tf.slice(result, [0, 0, 0], [-1, -1, filters])


def _multiply(x, weights, transpose: bool = False):
    """[N, B, C] times [C, D] (or the transpose of [D, C]): [N, B, D]."""
    width = weights.shape[0] if transpose else weights.shape[1]
    flat = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), weights, transpose_b=transpose)
    return tf.reshape(flat, [*_sides(x), width])


def _multiply_each(x, weights, transpose: bool = False) -> list:
    """[N, B, C] times each of the matrices [K, C, D] (or the transposes of [K, D, C]): K signals [N, B, D].

    One multiplication for each matrix: with all of them side by side, the products would be interleaved in memory, and
    separating them takes longer than multiplying; TensorFlow's batched multiplication is two to three times slower.
    """
    return [_multiply(x, matrix, transpose) for matrix in tf.unstack(weights)]


def _sides(x) -> list[int]:
    """Sides of x but the last, -1 for the one that may be unknown when a graph is traced."""
    return [-1 if side is None else side for side in x.shape[:-1]]


def _outer(x, y):
    """Sum over N and B of the outer products of x [N, B, C] and y [N, B, D]: [C, D]."""
    return tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), tf.reshape(y, [-1, y.shape[-1]]), transpose_a=True)


class ChebyshevConvolution(keras.layers.Layer):
    """Chebyshev graph convolution (Defferrard et al. 2016, arXiv 1606.09375) with optional bias and ELU.

    Args:
      product: `laplacian_product` of the mesh level.
      filters: C_out.
      order: K; with 1, a linear map at each vertex, without neighbours.
      use_bias: add a bias, one value per channel [1, 1, C_out].
      activation: "elu" or None.
      scale: factor on the initial weights; below 1 for a small initial output.
    """

    def __init__(
        self,
        product: SparseProduct,
        filters: int,
        order: int,
        use_bias: bool = True,
        activation: str | None = "elu",
        scale: float = 1.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        if activation not in (None, "elu"):
            raise ValueError(f"activation must be 'elu' or None, got {activation!r}")
        self.product, self.filters, self.order = product, filters, order
        self.use_bias, self.activation, self.initial_scale = use_bias, activation, scale
        self.bias = None

    def build(self, input_shape):
        # Truncated He normal with fan-in C_in K, the first axis, as published.
        initializer = keras.initializers.VarianceScaling(2.0 * self.initial_scale**2, "fan_in", "truncated_normal")
        shape = (input_shape[-1] * self.order, self.filters)
        self.weight = self.add_weight(name="weights", shape=shape, initializer=initializer)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(1, 1, self.filters), initializer="zeros")
        self.built = True

    def call(self, x):
        """[N, B, C_in] -> [N, B, C_out]."""
        x = chebyshev_convolution(self.product, x, tf.convert_to_tensor(self.weight), self.order)
        if self.bias is not None:
            x = x + self.bias
        return tf.nn.elu(x) if self.activation == "elu" else x


class ResidualBlock(keras.layers.Layer):
    """Published residual block: y = ELU(conv(x)), then ELU(conv(y) + shortcut).

    The shortcut is x itself, or a linear map of it if the channel counts differ.

    Args:
      product: `laplacian_product` of the mesh level.
      filters: C_out.
      order: K.
      activation: final activation, "elu" or None.
    """

    def __init__(
        self,
        product: SparseProduct,
        filters: int,
        order: int,
        activation: str | None = "elu",
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.product, self.filters, self.activation = product, filters, activation
        self.first = ChebyshevConvolution(product, filters, order, name="filter1")
        self.second = ChebyshevConvolution(product, filters, order, activation=None, name="filter2")
        self.shortcut: ChebyshevConvolution | None = None  # stays None if the channel counts agree

    def build(self, input_shape):
        widened = (*input_shape[:-1], self.filters)
        self.first.build(input_shape)
        self.second.build(widened)
        if input_shape[-1] != self.filters:
            shortcut = ChebyshevConvolution(
                self.product, self.filters, 1, use_bias=False, activation=None, name="shortcut"
            )
            shortcut.build(input_shape)
            self.shortcut = shortcut
        self.built = True

    def call(self, x):
        """[N, B, C_in] -> [N, B, C_out]."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        # The published code adds the bias after the shortcut; the sum is the same.
        x = self.second(self.first(x)) + shortcut
        return tf.nn.elu(x) if self.activation == "elu" else x
