"""Helpers for benchmarks of TensorFlow code: number of threads, and time of a call."""

import os
import statistics
import time


def use_threads(count: int) -> None:
    """Sets the number of threads of this process; call it before anything imports TensorFlow or Numba."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(count)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def milliseconds(function, repeats: int) -> str:
    """Median, shortest and longest time of a call that returns tensors, after two calls that trace and compile."""
    import tensorflow as tf

    for _ in range(2):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        tf.nest.map_structure(lambda tensor: tf.convert_to_tensor(tensor).numpy(), function())
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):8.2f} ms ({min(times):.2f} to {max(times):.2f})"
