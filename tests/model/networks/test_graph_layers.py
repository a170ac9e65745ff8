"""model/networks/products/sparse.py and model/networks/graph_layers.py."""

from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import model
from lib.mesh_sampling import adjacency_matrix, build_hierarchy, normalised_laplacian
from model.networks.graph_layers import (
    ChebyshevConvolution,
    ResidualBlock,
    chebyshev_basis,
    chebyshev_convolution,
    clenshaw_sum,
    laplacian_product,
    rescaled_laplacian,
)
from model.networks.products.sparse import SparseProduct
from tests.support.helpers import assert_close, golden, sparse
from tests.support.meshes import wavy_grid


def vertices_first(array):
    return tf.constant(np.swapaxes(array, 0, 1))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def grid():
    """Vertices, triangles and Laplacian of a small open sheet."""
    vertices, triangles = wavy_grid(7, 6)
    return vertices, triangles, normalised_laplacian(adjacency_matrix(triangles, len(vertices)))


@pytest.fixture(scope="module", params=["csr", "gather"])
def product(request, grid):
    """The product with that sheet's rescaled Laplacian, shared so that it is compiled once per width."""
    return SparseProduct(rescaled_laplacian(grid[2]), request.param)


def golden_layer(data, **options):
    layer = ChebyshevConvolution(laplacian_product(scipy.sparse.csr_matrix(data["laplacian"])), 7, 6, **options)
    layer.build((60, 2, 5))
    layer.weight.assign(data["weights"])
    if layer.bias is not None:
        layer.bias.assign(data["bias"])
    return layer


def test_golden_basis_and_convolution():
    data = golden("laplacian_cheb")
    product = laplacian_product(scipy.sparse.csr_matrix(data["laplacian"]))
    assert_close(rescaled_laplacian(scipy.sparse.csr_matrix(data["laplacian"])).toarray(), data["laplacian_rescaled"])
    x = vertices_first(data["x"])
    basis = np.swapaxes(np.stack(chebyshev_basis(product, x, 6), axis=-1), 0, 1)
    assert_close(basis, data["cheb_basis"])
    plain = golden_layer(data, use_bias=False, activation=None)(x)
    assert_close(np.swapaxes(plain, 0, 1), data["conv_out"])
    single = chebyshev_convolution(product, x, tf.constant(data["weights_k1"]), 1)
    assert_close(np.swapaxes(single, 0, 1), data["conv_k1_out"])


def test_golden_activation_and_gradient():
    data = golden("laplacian_cheb")
    layer, x = golden_layer(data), vertices_first(data["x"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = layer(x)
        total = tf.reduce_sum(result * vertices_first(data["grad_w"]))
    assert_close(np.swapaxes(result, 0, 1), data["conv_bias_elu_out"])
    assert_close(np.swapaxes(tape.gradient(total, x), 0, 1), data["grad_x"])


def test_golden_pooling():
    data = golden("laplacian_cheb")
    pool = SparseProduct(sparse(data, "pool"), symmetric=False)
    assert_close(np.swapaxes(pool(vertices_first(data["x"])), 0, 1), data["pool_out"])


@pytest.mark.parametrize("method", ["gather", "csr"])
@pytest.mark.parametrize("compiled", [False, True])
def test_product_and_gradients_equal_the_dense_ones(method, compiled):
    matrix = scipy.sparse.random(9, 14, 0.3, random_state=0, dtype=np.float32).tolil()
    matrix[4] = 0  # an empty row
    matrix[:, 3] = 0  # an empty column
    dense = matrix.toarray()
    product = SparseProduct(matrix.tocsr(), method)
    x, addend, upstream = tf.constant(random(14, 2, 3)), tf.constant(random(9, 2, 3)), random(9, 2, 3, seed=1)

    def run(x, addend):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = product(x)
            total = tf.reduce_sum(result * upstream)
        return result, product.forward(x, addend, 2.0, -0.5), tape.gradient(total, x)

    plain, combined, to_x = (tf.function(run, autograph=False) if compiled else run)(x, addend)
    expected = np.einsum("mn,nbc->mbc", dense, x)
    assert_close(plain, expected, 1e-6)
    assert_close(combined, 2 * expected - 0.5 * addend.numpy(), 1e-6)
    assert_close(to_x, np.einsum("mn,mbc->nbc", dense, upstream), 1e-6)


def test_symmetry_is_found_and_used(grid):
    laplacian = grid[2]
    product = SparseProduct(laplacian)
    assert product.symmetric
    assert product.backward is product.forward
    assert not SparseProduct(scipy.sparse.csr_matrix(np.float32([[0, 1], [2, 0]]))).symmetric
    assert not SparseProduct(laplacian[:5]).symmetric


def test_auto_avoids_compiling_small_matrices_and_padding_for_hub_vertices():
    kinds = {}
    for name, count, hubs in (("small", 400, 0), ("large", 90_000, 0), ("hub", 90_000, 1)):
        matrix = scipy.sparse.lil_matrix((count, count), dtype=np.float32)
        matrix.setdiag(2)
        matrix[:hubs, ::50] = 1
        product = SparseProduct(matrix.tocsr())
        kinds[name] = type(product.forward).__name__
        assert_close(product(random(count, 2)), matrix.tocsr() @ random(count, 2), 1e-6)
    assert kinds == {"small": "_RowKernel", "large": "_GatherKernel", "hub": "_RowKernel"}


def test_basis_is_the_cosine_of_multiples_in_the_eigenbasis(grid, product):
    rescaled = rescaled_laplacian(grid[2]).toarray().astype(np.float64)
    eigenvalues, eigenvectors = np.linalg.eigh(rescaled)
    x = random(len(rescaled), 3)
    for k, term in enumerate(chebyshev_basis(product, tf.constant(x), 8)):
        spectrum = np.cos(k * np.arccos(np.clip(eigenvalues, -1, 1)))
        assert_close(term, eigenvectors @ (spectrum[:, None] * (eigenvectors.T @ x)), 1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_clenshaw_equals_the_sum_over_the_basis(product, order):
    coefficients = [tf.constant(random(42, 2, 3, seed=k)) for k in range(order)]
    expected = sum(chebyshev_basis(product, c, order)[k] for k, c in enumerate(coefficients))
    assert_close(clenshaw_sum(product, coefficients), expected, 1e-5)


def naive_convolution(laplacian, x, weights, order):
    """The published formula in dense double precision, differentiated by TensorFlow."""
    rescaled = tf.constant(laplacian.toarray() - np.eye(laplacian.shape[0]), tf.float64)
    terms = [x, tf.einsum("mn,nbc->mbc", rescaled, x)]
    for _ in range(2, order):
        terms.append(2.0 * tf.einsum("mn,nbc->mbc", rescaled, terms[-1]) - terms[-2])
    basis = tf.stack(terms[:order], axis=-1)
    return tf.reshape(basis, [*x.shape[:2], -1]) @ weights


@pytest.mark.parametrize("widths", [(2, 5), (5, 2), (2, 2)])  # products of one width, compiled once
@pytest.mark.parametrize("order", [1, 2, 6])
def test_convolution_and_two_orders_of_gradients_equal_the_naive_ones(grid, product, widths, order):
    laplacian = grid[2]
    x = tf.constant(random(42, 3, widths[0]))
    weights = tf.constant(random(widths[0] * order, widths[1], seed=1))

    def derivatives(function, x, weights):
        with tf.GradientTape() as outer:
            outer.watch([x, weights])
            with tf.GradientTape() as inner:
                inner.watch([x, weights])
                result = function(x, weights)
                total = tf.reduce_sum(result**3)
            first = inner.gradient(total, [x, weights])
            penalty = tf.reduce_sum(first[0] ** 2) + tf.reduce_sum(tf.sin(first[1]))
        return [result, *first, *outer.gradient(penalty, [x, weights])]

    fast = derivatives(lambda x, w: chebyshev_convolution(product, x, w, order), x, weights)
    x, weights = tf.cast(x, tf.float64), tf.cast(weights, tf.float64)
    slow = derivatives(lambda x, w: naive_convolution(laplacian, x, w, order), x, weights)
    for i, (a, b) in enumerate(zip(fast, slow, strict=True)):
        assert_close(a, b, 1e-5 if i < 3 else 5e-3)  # sin of large arguments amplifies rounding


@pytest.mark.parametrize("widths", [(11, 16), (16, 6), (8, 8)])
def test_the_compressed_row_product_multiplies_eight_columns_or_a_multiple(grid, widths):
    """It takes three times as long at other widths."""
    product, seen = SparseProduct(rescaled_laplacian(grid[2]), "csr"), []
    kernel = product.forward

    def recorded(x, *options):
        seen.append(x.shape[-1])
        return kernel(x, *options)

    product.forward = recorded
    x, weights = tf.constant(random(42, 1, widths[0])), tf.constant(random(widths[0] * 3, widths[1]))
    with tf.GradientTape() as tape:
        tape.watch([x, weights])
        result = chebyshev_convolution(product, x, weights, 3)
    assert result.shape == (42, 1, widths[1])
    slopes = tape.gradient(result, [x, weights])
    assert [slope.shape for slope in slopes] == [x.shape, weights.shape]
    assert len(seen) == 4
    assert not any(width % 8 for width in seen)


def test_relabelling_vertices_relabels_the_output(grid):
    vertices, triangles, _ = grid
    permutation = np.random.default_rng(0).permutation(len(vertices))
    relabelled = np.argsort(permutation)[triangles]
    x, weights = random(42, 2, 4), tf.constant(random(24, 3))
    outputs = [
        chebyshev_convolution(
            laplacian_product(normalised_laplacian(adjacency_matrix(t, 42))), tf.constant(signal), weights, 6
        ).numpy()
        for t, signal in ((triangles, x), (relabelled, x[permutation]))
    ]
    assert_close(outputs[1], outputs[0][permutation], 1e-5)


def test_batch_of_two_is_two_batches_of_one(product):
    block = ResidualBlock(product, 5, 3)
    x = random(42, 2, 4)
    both = block(tf.constant(x)).numpy()
    assert_close(np.concatenate([block(tf.constant(x[:, i : i + 1])) for i in range(2)], axis=1), both, 1e-6)


def test_an_unknown_batch_size_is_accepted(product):
    layer = ChebyshevConvolution(product, 3, 3)
    call = tf.function(layer, input_signature=[tf.TensorSpec([42, None, 4])], autograph=False)
    for batch in (1, 3):
        x = tf.constant(random(42, batch, 4))
        assert_close(call(x), layer(x), 1e-6)


def test_residual_block_by_hand(product):
    x = tf.constant(random(42, 1, 4))
    for filters in (4, 5):
        block = ResidualBlock(product, filters, 2)
        block.build(x.shape)
        assert (block.shortcut is None) == (filters == 4)
        block.first.bias.assign(random(1, 1, filters))
        block.second.bias.assign(random(1, 1, filters, seed=1))
        inner = tf.nn.elu(chebyshev_convolution(product, x, block.first.weight.value, 2) + block.first.bias)
        shortcut = x if filters == 4 else x @ block.shortcut.weight.value
        second = chebyshev_convolution(product, inner, block.second.weight.value, 2)
        assert_close(block(x), tf.nn.elu(second + shortcut + block.second.bias), 1e-5)


def test_sampling_keeps_constants():
    hierarchy = build_hierarchy(*wavy_grid(20, 20))
    ones = tf.ones([hierarchy.level_sizes[-1], 2, 3])
    for up in reversed(hierarchy.up):
        ones = SparseProduct(up, symmetric=False)(ones)
    np.testing.assert_allclose(ones, 1.0, atol=1e-5)


def test_initial_weights_are_truncated_he_normal(product):
    keras.utils.set_random_seed(0)
    layer = ChebyshevConvolution(product, 256, 6)
    layer.build((42, 1, 32))
    deviation = np.sqrt(2.0 / (32 * 6))
    assert abs(layer.weight.numpy().std() / deviation - 1) < 0.02
    assert np.abs(layer.weight.numpy()).max() < 2.3 * deviation
    assert not layer.bias.numpy().any()
    tenth = ChebyshevConvolution(product, 256, 6, scale=0.1)
    tenth.build((42, 1, 32))
    assert abs(tenth.weight.numpy().std() / deviation - 0.1) < 0.002


def test_matrices_are_captured_not_copied_into_graphs(product):
    layer = ChebyshevConvolution(product, 3, 3)
    layer.build((42, 1, 4))
    concrete = tf.function(layer, autograph=False).get_concrete_function(tf.TensorSpec([42, 1, 4]))
    definition = concrete.graph.as_graph_def(add_shapes=False)
    assert definition.ByteSize() < 30_000
    bodies = list(definition.library.function)
    values = [n.attr["value"].tensor for f in bodies for n in f.node_def if n.op == "Const"]
    assert all(np.prod([d.size for d in v.tensor_shape.dim]) < 42 for v in values)


def test_wrong_options_are_refused(grid, product):
    with pytest.raises(ValueError, match="method must be"):
        SparseProduct(grid[2], "dense")
    with pytest.raises(ValueError, match="order must be"):
        ChebyshevConvolution(product, 3, 0)
    with pytest.raises(ValueError, match="activation must be"):
        ChebyshevConvolution(product, 3, 2, activation="relu")


# No public function disables TensorFlow's coordination service, which ends a process when another one is lost, or sets
# the interval of its health checks; and the public name of the function that imports graphs with functions, in
# tf.compat.v1, costs every start half a second, as do those around the library that speaks when it is loaded.
INNER = {"model/training/workers.py", "lib/runtime/stored_function.py", "lib/runtime/quiet_tensorflow.py"}


def test_only_the_public_interface_of_tensorflow_is_used():
    """Its inner modules move between versions without notice."""
    root = Path(model.__file__).parents[1]
    sources = [path for folder in ("lib", "model", "configs") for path in sorted((root / folder).rglob("*.py"))]
    assert len(sources) > 100
    using = {str(path.relative_to(root)) for path in sources if "tensorflow.python" in path.read_text(encoding="utf-8")}
    assert using == INNER
