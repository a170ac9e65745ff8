"""Equal results on every run, whatever the number of threads: fixed pools and deterministic operations, on the CPU.

A sum over threads depends on its partition, because additions of floats are rounded. TensorFlow and BLAS choose the
partition by the number of threads that they find; here it is always the same.
"""

# Threads of TensorFlow's pools. The partition follows the pool's size, not the number of processors, so that a machine
# with fewer of them gets the same result.
THREADS = 4


def make_deterministic() -> None:
    """Makes TensorFlow and BLAS deterministic in this process; call it before TensorFlow's first operation.

    Numba's kernels run on one thread each and need nothing. All random generators must have been seeded
    (`seed_everything`); TensorFlow raises an error where one is not.

    Raises:
      RuntimeError: TensorFlow already runs, with another number of threads.
    """
    import tensorflow as tf
    import threadpoolctl

    # Explicit numbers take precedence over TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS.
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.experimental.enable_op_determinism()
    threadpoolctl.threadpool_limits(1)
    # Worker processes, which start later, are limited to one thread each by `run_jobs`.
