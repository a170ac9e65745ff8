"""Weight gradients of large dense layers as thin factors.

The gradient of x W with respect to W is the outer product of x [B, I] and the upstream gradient [B, O]: a matrix of
rank B at most. For a few crops and a matrix of ten million entries, writing, clipping and reading that matrix costs
several times as much as reading the two factors, from which an optimizer can compute each entry when it needs it.

A training step collects the products of the layers that support it and differentiates with respect to them:

    with collected_products() as products, tf.GradientTape() as tape:
        loss = ...
    upstream = tape.gradient(loss, [product.output for product in products])
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import keras
import tensorflow as tf

# Smaller matrices are not worth it: their gradient stays in the processor's cache.
LEAST_ENTRIES = 1_000_000
# With more rows, computing the entries again costs more than storing them.
MOST_ROWS = 16


@dataclass(frozen=True)
class DenseProduct:
    """The product of a dense layer.

    Attributes:
      kernel: [I, O] weights W.
      x: [B, I] input.
      output: [B, O] x W, before bias and activation.
    """

    kernel: keras.Variable
    x: tf.Tensor
    output: tf.Tensor


@dataclass(frozen=True)
class _Collection:
    """Products collected so far, of one of `parts` equal parts of a batch."""

    products: list[DenseProduct]
    parts: int


_collected: ContextVar[_Collection | None] = ContextVar("collected products", default=None)


@contextlib.contextmanager
def collected_products(parts: int = 1) -> Iterator[list[DenseProduct]]:
    """Context manager whose list receives the large products computed by `multiply` in this thread.

    Args:
      parts: number of equal parts of the batch, of which this thread computes one.
    """
    products: list[DenseProduct] = []
    token = _collected.set(_Collection(products, parts))
    try:
        yield products
    finally:
        _collected.reset(token)


def multiply(x: tf.Tensor, kernel: keras.Variable) -> tf.Tensor:
    """Computes x W for x [B, I] and weights [I, O], and adds a large product to the list that is being collected."""
    output = tf.matmul(x, tf.convert_to_tensor(kernel))
    collection = _collected.get()
    if collection is not None and is_thin(x.shape[0], kernel.shape, collection.parts) and _in_main_memory(kernel):
        collection.products.append(DenseProduct(kernel, x, output))
    return output


def is_thin(rows: int | None, shape: tuple[int, int], parts: int = 1) -> bool:
    """True if two factors of `parts` B rows are cheaper than the gradient [I, O]; False if B is unknown."""
    return rows is not None and parts * rows <= MOST_ROWS and shape[0] * shape[1] >= LEAST_ENTRIES


def _in_main_memory(kernel: keras.Variable) -> bool:
    """True if compiled code of the processor can update the weights in place."""
    return tf.DeviceSpec.from_string(kernel.value.device).device_type == "CPU"


def squared_norm(
    x: tf.Tensor, upstream: tf.Tensor, output: tf.Tensor, decay: tf.Tensor, kernel_squares: tf.Tensor
) -> tf.Tensor:
    """Sum of squares of x^T d + decay W, from Gram matrices of the factors instead of the matrix.

    Args:
      x: [B, I] input of the product.
      upstream: d [B, O], gradient with respect to the product.
      output: [B, O] the product x W.
      decay: weight of the L2 term.
      kernel_squares: sum of squares of W.
    """
    gram = tf.reduce_sum(tf.matmul(x, x, transpose_b=True) * tf.matmul(upstream, upstream, transpose_b=True))
    mixed = tf.reduce_sum(upstream * output)  # <x^T d, W> = <d, x W>
    return tf.maximum(gram + 2.0 * decay * mixed + tf.square(decay) * kernel_squares, 0.0)
