"""Times graph operations and whole texture networks.

python -m benchmarks.bench_graph_layers [--vertices 10000 35709] [--batch 1 4] [--threads 2] [--products]
"""

import argparse
import resource
import time

from benchmarks.timing import milliseconds, use_threads


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, nargs="+", default=[10000])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--variants", nargs="*", default=["default", "normal"])
    parser.add_argument("--order", choices=("rows", "random"), default="rows", help="vertex order of the mesh")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--products", action="store_true", help="also time single sparse products")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    use_threads(arguments.threads)
    import tensorflow as tf

    from benchmarks.meshes import face_like_sheet
    from lib.mesh_sampling import build_hierarchy

    print(f"tensorflow {tf.__version__}, {arguments.threads} threads, devices {tf.config.list_logical_devices()}")
    for count in arguments.vertices:
        hierarchy = build_hierarchy(*face_like_sheet(count, arguments.order))
        print(f"levels {hierarchy.level_sizes}")
        if arguments.products:
            time_products(hierarchy, arguments.repeats)
        for variant in arguments.variants:
            for batch in arguments.batch:
                time_network(hierarchy, variant, batch, arguments.repeats)


def time_products(hierarchy, repeats):
    """Times the product of each matrix of the hierarchy with signals of several widths, with each kernel."""
    import tensorflow as tf

    from model.networks.products.sparse import SparseProduct

    matrices = {f"L{i}": matrix for i, matrix in enumerate(hierarchy.laplacian)}
    matrices |= {f"{name}{i}": m for name in ("down", "up") for i, m in enumerate(getattr(hierarchy, name)[:2])}
    matrices |= {f"{name} transposed": matrices[name].T for name in ("down0", "up0", "up1")}
    for name, matrix in matrices.items():
        for width in (4, 16, 64, 128):
            x = tf.random.normal([matrix.shape[1], width])
            line = f"{name:>16} {matrix.shape[0]:6d} x {matrix.shape[1]:<6d} width {width:3d}"
            for method in ("gather", "csr"):
                product = tf.function(SparseProduct(matrix, method), autograph=False)
                start = time.perf_counter()
                product(x)
                first = time.perf_counter() - start
                line += f"   {method} {milliseconds(lambda f=product, x=x: f(x), repeats)}, first call {first:.2f} s"
            print(line, flush=True)


def time_network(hierarchy, variant, batch, repeats):
    """Times the forward pass, and forward and backward pass together, of a texture network with one texture."""
    import tensorflow as tf

    from model.networks.texture_networks import TextureNetwork

    published = variant != "default"
    network = TextureNetwork(
        hierarchy,
        384,
        variant=variant,
        head="published" if published else "residual",
        inputs="lit" if published else "delit",
        intrinsic=False,
        order=6 if published else 3,
        nz=512,
    )
    count = hierarchy.level_sizes[0]
    shapes = ([batch, 384], [batch, count, 3], [batch, count, 3], [batch, count, 1], [batch, count, 3])
    signals = [tf.random.uniform(shape, seed=i) for i, shape in enumerate(shapes)]
    forward = tf.function(lambda: network(*signals), autograph=False)

    @tf.function(autograph=False)
    def forward_backward():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(*signals, training=True))
        return tape.gradient(total, network.trainable_variables)

    start = time.perf_counter()
    forward_backward()
    first = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    weights = sum(v.shape.num_elements() for v in network.trainable_variables)
    print(
        f"{variant:>8} {count} vertices, batch {batch}, {weights / 1e6:.2f} M weights: "
        f"forward {milliseconds(forward, repeats)}, forward and backward "
        f"{milliseconds(forward_backward, repeats)}; first call {first:.1f} s; peak so far {memory:.2f} GiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
