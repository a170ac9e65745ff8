"""Helpers of the benchmarks of TensorFlow code: the number of threads, and the time of a call."""

import os
import statistics
import time


def use_threads(count: int) -> None:
    """Gives this process so many threads; must come before anything imports TensorFlow."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def milliseconds(function, repeats: int) -> str:
    """Median, fastest and slowest call of a function that returns tensors, after two calls that trace and compile."""
    import tensorflow as tf

    for _ in range(2):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        tf.nest.map_structure(lambda tensor: tf.convert_to_tensor(tensor).numpy(), function())
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):8.2f} ms ({min(times):.2f} to {max(times):.2f})"
