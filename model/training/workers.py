"""Training by several processes: each computes a part of every batch, and all make the same update.

The network's variables belong to each process, which starts from the same seed or checkpoint. `tf.distribute` connects
the processes and averages their gradients, so that they stay equal bit for bit: the sums are computed once and copied.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.eager import context

from lib.cluster.meeting import MEETING_SECONDS, Cluster
from lib.errors import UserError
from model.runs.processes import share_of_batch

# A machine that has vanished without closing its connections is noticed after three failed checks.
CHECK_SECONDS = 3
# What TensorFlow raises for a process that has ended, restarted or does not answer.
_LOST = (
    tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)  # fmt: skip


class Workers:
    """The processes that train one network: here a single one, in `ConnectedWorkers` several.

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

    def join(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Tensors [count B, ...] of the rows [B, ...] of all processes; every process must call it, as `mean`."""
        return list(tensors)

    def any(self, flag: bool) -> bool:
        """True if `flag` is true in any process; waits for all of them."""
        return flag

    def compare(self, values: Mapping[str, object]) -> None:
        """Checks that all processes have the same values, by name.

        Raises:
          UserError: one differs from the chief's. All processes raise it, and name the process and the values.
        """

    @contextlib.contextmanager
    def watched(self, advice: Callable[[], str]) -> Iterator[None]:
        """Context manager for work that needs all processes.

        Args:
          advice: called if one of them is lost; returns how to continue.

        Raises:
          UserError: a process ended or does not answer.
        """
        yield

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

    def part(self, order: Sequence[int], batch_size: int) -> list[int]:
        """This process's crops of every batch, given those of whole batches."""
        size = share_of_batch(batch_size, self.count)
        starts = range(self.index * size, len(order), batch_size)
        return [crop for start in starts for crop in order[start : start + size]]

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """This process's rows of values [B, ...] of a whole batch."""
        return tf.split(values, self.count)[self.index] if self.count > 1 else values


class ConnectedWorkers(Workers):
    """The processes of a `tf.distribute` cluster, one replica each; see `connect`."""

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy, cluster: Cluster):
        self._strategy, self._cluster = strategy, cluster
        self.index, self.count = cluster.index, strategy.num_replicas_in_sync
        self._mean, self._join = (
            tf.function(function, autograph=False, reduce_retracing=True) for function in (self.mean, self.join)
        )

    def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Means over all processes; within a graph."""
        return self._reduce(tf.distribute.ReduceOp.MEAN, tensors)

    def join(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Rows of all processes; within a graph."""
        # Adding zeros to each row is exact, and keeps static shapes, which a gathering operation would not.
        zeros = [tf.zeros_like(tensor) for tensor in tensors]
        before, after = self.index, self.count - 1 - self.index
        parts = zip(zeros, tensors, strict=True)
        padded = [tf.concat([zero] * before + [rows] + [zero] * after, 0) for zero, rows in parts]
        return self._reduce(tf.distribute.ReduceOp.SUM, padded)

    def _reduce(self, operation: tf.distribute.ReduceOp, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        def reduce(values: list[tf.Tensor]) -> list[tf.Tensor]:
            replica = tf.distribute.get_replica_context()
            # Copies lie on the replica's device, which the reduction needs to know.
            return replica.all_reduce(operation, [tf.identity(value) for value in values])

        return self._strategy.run(reduce, args=(list(tensors),)) if tensors else []

    def any(self, flag: bool) -> bool:
        """True if `flag` is true in any process; waits for all of them."""
        return float(self._mean([tf.constant(float(flag))])[0]) > 0

    def compare(self, values: Mapping[str, object]) -> None:
        """Compares hashes of the values' representations."""
        self._compare({"version of the program": ",".join(values)})  # otherwise, rows could differ in length
        self._compare({name: repr(value) for name, value in values.items()})

    def _compare(self, texts: Mapping[str, str]) -> None:
        row = [float(_short_hash(text)) for text in texts.values()]
        table = self._join([tf.constant([row])])[0].numpy()
        for index, other in enumerate(table):
            if differing := [name for name, a, b in zip(texts, other, table[0], strict=True) if a != b]:
                raise UserError(
                    f"{self._cluster.name(index)}: must train with the chief's {', '.join(differing)}, got another "
                    "(start all processes with the same command and files)"
                )

    @contextlib.contextmanager
    def watched(self, advice: Callable[[], str]) -> Iterator[None]:
        """Turns TensorFlow's errors about lost processes into a UserError that names those that do not answer."""
        try:
            yield
        except _LOST as error:
            others = [index for index in range(self.count) if index != self.index]
            lost = [self._cluster.name(index) for index in self._cluster.unreachable(others)]
            raise UserError(
                f"all {self.count} processes must stay connected, got no answer from "
                f"{', '.join(lost) or 'one of them, which has answered since'} (see its messages, and start all again: "
                f"{advice()})"
            ) from error


def _short_hash(text: str) -> int:
    """24 bits, which float32 represents."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:3], "big")


def connect(cluster: Cluster) -> ConnectedWorkers:
    """Connects the processes, after all have started; call it before TensorFlow's first operation.

    Raises:
      UserError: a process does not appear in time, or this one would use several GPUs.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1:
        raise UserError(
            f"each process must use one GPU at most, got {gpus} (start a process for each, and set "
            "CUDA_VISIBLE_DEVICES, or give srun --gpus-per-task=1)"
        )
    tf.get_logger().setLevel(logging.CRITICAL)  # its reports of a lost process, which `watched` reports
    cluster.meet()
    # TensorFlow's coordination service ends this process from a thread of its own when another one is lost. Without the
    # service, which no public function disables, the step in progress raises an error instead.
    context.context().configure_coordination_service(service_type="")
    CollectiveAllReduceExtended._check_health_interval = CHECK_SECONDS
    CollectiveAllReduceExtended._check_health_initial_timeout = MEETING_SECONDS
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
        num_accelerators={"GPU": gpus},
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (RuntimeError, *_LOST) as error:  # from the first exchange with the others
        if isinstance(error, RuntimeError) and "Timeout waiting for the cluster" not in str(error):
            raise
        raise UserError(
            f"all {len(cluster.addresses)} processes must stay until they are connected, got the end of one (see its "
            "messages, and start all again)"
        ) from error
    return ConnectedWorkers(strategy, cluster)
