"""Products of fixed sparse matrices with signals on vertices, and their gradients.

The gradients consist of the same kind of product, so derivatives of any order are correct.
"""

import numpy as np
import scipy.sparse
import tensorflow as tf

# The compiled kernel takes 0.3 to 0.7 s to compile for each width. This pays off only for large matrices, where it is
# 1.5 to 4 times as fast, and only with little padding (measured by benchmarks/bench_graph_layers.py --products).
_COMPILE_ENTRIES = 80_000
_PADDING_LIMIT = 1.5


class SparseProduct:
    """Product x -> A x with a fixed sparse matrix A [M, N], differentiable in x.

    TensorFlow's sparse_dense_matmul runs on one thread and slows down eightfold at 32 columns. Of the two kernels here,
    "gather" sums padded neighbour lists in one compiled loop and "csr" is TensorFlow's compressed-row product. The
    matrix is created outside of graphs, so that they capture it instead of copying it.

    Neighbouring vertices should have nearby indices: random numbering doubles the time. Reordering (reverse
    Cuthill-McKee) would restore the speed, but face models already have a good order, so nothing is reordered here.

    Args:
      matrix: SciPy sparse [M, N]; explicit zeros are dropped.
      method: "gather", "csr", or "auto" (gather for large matrices that need little padding).
      symmetric: True if A equals its transpose, so that one kernel serves product and gradient; None to test it.

    Attributes:
      forward, backward: kernels of A and of its transpose, (x, addend, scale, addend_scale) -> scale A x +
        addend_scale addend in one pass over memory, a step of either Chebyshev recursion.
      favoured_multiple: of columns, at which the kernel is fastest.
    """

    def __init__(self, matrix: scipy.sparse.spmatrix, method: str = "auto", symmetric: bool | None = None):
        if method not in ("auto", "gather", "csr"):
            raise ValueError(f"method must be auto, gather or csr, got {method!r}")
        matrix = scipy.sparse.csr_matrix(matrix, dtype=np.float32)
        matrix.eliminate_zeros()
        self.shape = matrix.shape
        self.symmetric = _is_symmetric(matrix) if symmetric is None else symmetric
        self.forward = _kernel(matrix, method)
        self.backward = self.forward if self.symmetric else _kernel(matrix.T.tocsr(), method)
        self.favoured_multiple = self.forward.favoured_multiple

    def __call__(self, x):
        """Computes A x for x [N, ...]: [M, ...]."""
        return _linear(self.forward, self.backward)(tf.convert_to_tensor(x))


def _linear(forward, backward):
    """Differentiable function x -> A x; its gradient is the same function with A and its transpose swapped."""

    @tf.custom_gradient
    def product(x):
        return forward(x), _linear(backward, forward)

    return product


def _is_symmetric(matrix: scipy.sparse.csr_matrix) -> bool:
    if matrix.shape[0] != matrix.shape[1]:
        return False
    return abs(matrix - matrix.T).max() <= 1e-7 * max(abs(matrix).max(), 1e-30) if matrix.nnz else True


def _kernel(matrix: scipy.sparse.csr_matrix, method: str):
    if method == "auto":
        longest = np.diff(matrix.indptr).max(initial=0)
        padded = longest * matrix.shape[0]
        method = "gather" if matrix.nnz >= _COMPILE_ENTRIES and padded <= _PADDING_LIMIT * matrix.nnz else "csr"
    return _GatherKernel(matrix) if method == "gather" else _RowKernel(matrix)


class _GatherKernel:
    """Rows as lists of neighbours and weights, padded to the longest row; every product is compiled separately.

    Given a whole recursion to compile, XLA would fuse it and recompute earlier products for every neighbour.
    """

    favoured_multiple = 1

    def __init__(self, matrix: scipy.sparse.csr_matrix):
        matrix.sort_indices()
        counts = np.diff(matrix.indptr)
        degree = max(int(counts.max(initial=0)), 1)
        neighbours = np.zeros((degree, matrix.shape[0]), np.int32)
        weights = np.zeros((degree, matrix.shape[0], 1), np.float32)
        rows = np.repeat(np.arange(matrix.shape[0]), counts)
        places = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], counts)
        # Padded entries have weight 0 and point to the row's own index, which is close in memory.
        neighbours[:] = np.minimum(np.arange(matrix.shape[0]), max(matrix.shape[1] - 1, 0))
        neighbours[places, rows] = matrix.indices
        weights[places, rows, 0] = matrix.data
        self.degree = degree
        with tf.init_scope():
            self._neighbours, self._weights = tf.constant(neighbours), tf.constant(weights)
        self._product = tf.function(self._weighted_sum, jit_compile=True, autograph=False)
        self._step = tf.function(self._weighted_sum_and_addend, jit_compile=True, autograph=False)

    def _weighted_sum(self, x, scale):
        weights = tf.cast(self._weights, x.dtype)
        total = tf.gather(x, self._neighbours[0]) * weights[0]
        for k in range(1, self.degree):
            total += tf.gather(x, self._neighbours[k]) * weights[k]
        return scale * total

    def _weighted_sum_and_addend(self, x, addend, scale, addend_scale):
        return self._weighted_sum(x, scale) + addend_scale * addend

    def __call__(self, x, addend=None, scale: float = 1.0, addend_scale: float = 1.0):
        columns = _columns(x)
        scale = tf.constant(scale, x.dtype)
        if addend is None:
            product = self._product(columns, scale)
        else:
            product = self._step(columns, _columns(addend), scale, tf.constant(addend_scale, x.dtype))
        return _like(product, x)


class _RowKernel:
    """TensorFlow's compressed-row product.

    The compressed matrix is created once inside each graph that uses it, because a captured one would lose the shape
    that shape inference needs; the conversion takes 0.3 ms of processor time for 60,000 entries.
    """

    # The product takes three times as long at 6 or 11 columns as at 8 or 16.
    favoured_multiple = 8

    def __init__(self, matrix: scipy.sparse.csr_matrix):
        matrix.sort_indices()
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        with tf.init_scope():
            self._indices = tf.constant(np.stack([rows, matrix.indices], axis=1), tf.int64)
        self._shape, self._data = np.array(matrix.shape, np.int64), matrix.data
        self._scaled: dict[tuple[tf.DType, float], tf.Tensor] = {}
        self._compressed: dict[tuple, list[tf.Tensor]] = {}

    def _values(self, dtype: tf.DType, scale: float) -> tf.Tensor:
        """Entries of scale A, cached: scaling the matrix once is cheaper than scaling every product."""
        key = dtype, scale
        if key not in self._scaled:
            with tf.init_scope():
                self._scaled[key] = tf.constant((scale * self._data).astype(dtype.as_numpy_dtype))
        return self._scaled[key]

    def _matrix(self, dtype: tf.DType, scale: float) -> tf.Tensor:
        """The compressed scale A, for use in the current graph or eagerly."""
        key = self, dtype, scale
        if tf.executing_eagerly():
            made = self._compressed.setdefault(key, [])
        else:
            # A new tensor knows the current graph; tf.compat.v1 also does, but takes half a second to import.
            made = tf.constant(0).graph.get_collection_ref(key)
        if not made:
            made.append(
                tf.raw_ops.SparseTensorToCSRSparseMatrix(
                    indices=self._indices, values=self._values(dtype, scale), dense_shape=self._shape
                )
            )
        return made[0]

    def __call__(self, x, addend=None, scale: float = 1.0, addend_scale: float = 1.0):
        product = _like(tf.raw_ops.SparseMatrixMatMul(a=self._matrix(x.dtype, scale), b=_columns(x)), x)
        if addend is None:
            return product
        if addend_scale == -1.0:
            return product - addend
        return product + (addend if addend_scale == 1.0 else addend_scale * addend)


def _columns(x):
    """Reshapes [N, ...] to [N, W]."""
    if x.shape.rank == 2:
        return x
    width = x.shape[1:].num_elements()
    return tf.reshape(x, [x.shape[0], width]) if width else tf.reshape(x, [tf.shape(x)[0], -1])


def _like(columns, x):
    """Reshapes [M, W] to the trailing axes of x, of which only one may be unknown when a graph is traced."""
    if x.shape.rank == 2:
        return columns
    return tf.reshape(columns, [columns.shape[0], *(-1 if side is None else side for side in x.shape[1:])])
