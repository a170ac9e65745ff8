"""Training by several processes: each computes a part of every batch, and all make the same update.

The network's variables belong to each process, which starts from the same seed or checkpoint. `tf.distribute` connects
the processes and averages their gradients, so that they stay equal bit for bit: the sums are computed once and copied.
"""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from lib.errors import UserError


class Workers:
    """The processes that train one network; this class is a single one, `ConnectedWorkers` are several.

    Attributes:
      index: number of this process.
      count: number of processes.
    """

    index, count = 0, 1

    @property
    def chief(self) -> bool:
        """True for the process that writes the run's files."""
        return self.index == 0

    def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Means of tensors over all processes; every process must call it, in the same order."""
        return list(tensors)

    def any(self, flag: bool) -> bool:
        """True if `flag` is true in any process; waits for all of them."""
        return float(self.mean([tf.constant(float(flag))])[0]) > 0

    def barrier(self) -> None:
        """Waits for all processes."""
        self.any(False)

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """Context manager for work whose results the chief stores and the others find."""
        if not self.chief:
            self.barrier()
        yield
        if self.chief:
            self.barrier()

    def local_size(self, batch_size: int) -> int:
        """Crops of a batch that each process computes.

        Raises:
          UserError: the batch cannot be divided equally.
        """
        if batch_size % self.count:
            raise UserError(
                f"train.batch_size: must be a multiple of the {self.count} workers, got {batch_size} (give another "
                "--batch_size)"
            )
        return batch_size // self.count

    def part(self, order: Sequence[int], batch_size: int) -> list[int]:
        """This process's crops of every batch, given those of whole batches."""
        size = self.local_size(batch_size)
        starts = range(self.index * size, len(order), batch_size)
        return [crop for start in starts for crop in order[start : start + size]]

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """This process's rows of values [B, ...] of a whole batch."""
        return tf.split(values, self.count)[self.index] if self.count > 1 else values


class ConnectedWorkers(Workers):
    """The processes of a `tf.distribute` cluster, one replica each.

    Args:
      strategy: made before TensorFlow was used for anything else, from the environment variable TF_CONFIG.
    """

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy):
        self._strategy = strategy
        self.index, self.count = strategy.cluster_resolver.task_id, strategy.num_replicas_in_sync
        self._mean = tf.function(self.mean, autograph=False, reduce_retracing=True)

    def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Means of tensors over all processes; within a graph, or from `any`."""

        def reduce(values: list[tf.Tensor]) -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            # Copies lie on the replica's device, which the reduction needs to know.
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(value) for value in values])

        return self._strategy.run(reduce, args=(list(tensors),))

    def any(self, flag: bool) -> bool:
        """True if `flag` is true in any process; waits for all of them."""
        return float(self._mean([tf.constant(float(flag))])[0]) > 0


def connect() -> ConnectedWorkers:
    """Connects the processes that TF_CONFIG lists; waits until all are there."""
    return ConnectedWorkers(tf.distribute.MultiWorkerMirroredStrategy())
