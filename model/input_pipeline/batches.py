"""Batches of crops with the outputs of the frozen networks, prefetched while the network computes."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from lib.errors import UserError
from lib.records.records import Records
from model.networks.encoding import EncodedFaces


@dataclasses.dataclass(frozen=True)
class CropBatch:
    """B training crops with their precomputed data.

    Attributes:
      crop: [B, H, W, 4] RGBA in [0, 1], alpha 1 on skin.
      encoded: the frozen networks' outputs.
      true_albedo: [B, N, 3] RGB in [0, 1], None if unknown.
    """

    crop: tf.Tensor
    encoded: EncodedFaces
    true_albedo: tf.Tensor | None = None


def shuffled(indices: Sequence[int], seed: int, epoch: int, repetition: int = 0) -> np.ndarray:
    """Records in random order; depends only on the arguments, so a resumed run sees the same batches."""
    return np.random.default_rng([seed, epoch, repetition]).permutation(np.asarray(indices, np.int64))


def batches(
    records: Records,
    encoded: EncodedFaces,
    order: Sequence[int],
    batch_size: int,
    workers: int = 1,
    buffer_size: int = 2,
    targets: np.ndarray | None = None,
) -> Iterator[CropBatch]:
    """Yields float32 batches in the given order.

    Args:
      records: S RGBA crops.
      encoded: the frozen networks' outputs, arrays or `StoredRows` of S rows.
      order: indices into the records; a smaller last batch is yielded as well.
      batch_size: B.
      workers: threads that read and check records.
      buffer_size: number of batches to prefetch.
      targets: [S, N, 3] true albedo of all records, None if unknown.

    Raises:
      UserError: a record is damaged, or a file of the frozen networks' outputs has been deleted.
    """
    outputs = [getattr(encoded, field.name) for field in dataclasses.fields(encoded)]
    known = outputs + ([] if targets is None else [targets])
    shapes = [records.shape, *(values.shape[1:] for values in known)]
    faults: list[UserError] = []  # TensorFlow makes another exception of them

    def read(indices):
        try:
            crops = records.batch(indices).astype(np.float32) / 255.0
            return crops, *(values[indices].astype(np.float32) for values in known)
        except UserError as error:
            faults.append(error)
            raise

    def load(indices):
        batch = tf.numpy_function(read, [indices], [tf.float32] * len(shapes), stateful=False)
        for values, shape in zip(batch, shapes, strict=True):
            values.set_shape([None, *shape])
        return tuple(batch)

    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(order, np.int64)).batch(batch_size)
    dataset = dataset.map(load, num_parallel_calls=max(workers, 1), deterministic=True)
    dataset = dataset.prefetch(buffer_size)

    def made() -> Iterator[CropBatch]:
        try:
            for crop, *rest in dataset:
                yield CropBatch(crop, EncodedFaces(*rest[: len(outputs)]), *rest[len(outputs) :])
        except tf.errors.OpError as error:
            if not faults:
                raise
            raise faults[0] from error

    return made()
