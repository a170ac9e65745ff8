"""Several processes that train together: what they need of a configuration, and their start on one machine.

TensorFlow is not imported here: the process that starts the others has no use for it.
"""

import os
import sys
from collections.abc import Sequence

from configs import schema
from lib.cluster.gpus import count_gpus
from lib.cluster.replicas import replica_environments, run_replicas
from lib.errors import UserError
from lib.runtime.quiet_tensorflow import share_processors


def share_of_batch(batch_size: int, count: int) -> int:
    """Crops of a batch that each of `count` processes computes.

    Raises:
      UserError: the batch cannot be divided equally.
    """
    if batch_size % count:
        raise UserError(
            f"train.batch_size: must be a multiple of the {count} workers, got {batch_size} (give another --batch_size)"
        )
    return batch_size // count


def check_processes(config: schema.Config, count: int) -> None:
    """Raises UserError if several processes cannot divide the batches, or a critic would see only parts of them."""
    share_of_batch(config.train.batch_size, count)
    if count > 1 and config.gan.enabled:
        raise UserError(
            f"gan.enabled: must be false with {count} processes, got true (the critic normalises over a whole batch; "
            "train without --gan, or in one process)"
        )


def run_mirrored(config: schema.Config, wanted: int | None, command: Sequence[str]) -> int | None:
    """Trains with one process for each GPU of this machine.

    Args:
      config: the effective configuration.
      wanted: number of processes, without GPUs or below their number; None: one for each GPU.
      command: script and arguments of a process that trains with those that TF_CONFIG lists.

    Returns:
      The exit code; None if there is only one process, which is this one.

    Raises:
      UserError: there are fewer GPUs, the configuration does not allow so many processes, or one was lost.
    """
    gpus = count_gpus()
    environments = replica_environments(wanted, gpus, os.environ)
    check_processes(config, len(environments))
    if len(environments) == 1:
        print(f"--distribute mirrored: this process trains alone, on {'a GPU' if gpus else 'the CPU'} (see --replicas)")
        os.environ.update(environments[0])
        return None
    share_processors(len(environments))
    return run_replicas([sys.executable, *command], environments, config.run_dir)
