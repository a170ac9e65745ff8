"""Equal results on every run, whatever the number of threads: fixed pools and deterministic operations, on the CPU.

A sum over threads depends on its partition, because additions of floats are rounded. TensorFlow and BLAS choose the
partition by the number of threads that they find; here it is always the same.
"""

import contextlib
import os
from collections.abc import Iterator

_LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_ONE_THREAD = dict.fromkeys(_LIMITS, "1")
# Environment of a process for one of several parts of a job.
ONE_THREAD_NO_GPU = {**_ONE_THREAD, "CUDA_VISIBLE_DEVICES": "-1"}
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


@contextlib.contextmanager
def single_threaded_children() -> Iterator[None]:
    """Limits processes started in the block to one thread each and hides GPUs from them.

    Uses environment variables, because numerical libraries read them on import, before any of our code runs.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD_NO_GPU}
    os.environ.update(ONE_THREAD_NO_GPU)
    try:
        yield
    finally:
        for name in before:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def use_one_thread(hide_gpu: bool = False) -> None:
    """Limits this process to one thread, also without a GPU, as workers are; call it before TensorFlow is imported.

    Sums over threads and on a GPU are rounded differently: without either, this process gets the results of a worker.
    """
    import cv2
    import threadpoolctl

    os.environ.update(ONE_THREAD_NO_GPU if hide_gpu else _ONE_THREAD)
    threadpoolctl.threadpool_limits(1)  # BLAS, which may already be loaded
    cv2.setNumThreads(1)  # no environment variable limits OpenCV's threads
