"""Batches of crops with what the frozen networks say of them, read ahead while the network computes."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from model.input_pipeline.frozen_outputs import EncodedFaces


def shuffled(indices: Sequence[int], seed: int, epoch: int, repetition: int = 0) -> np.ndarray:
    """The records in random order: a function of the arguments alone, so a resumed run sees the same batches."""
    return np.random.default_rng([seed, epoch, repetition]).permutation(np.asarray(indices, np.int64))


def batches(
    records,
    encoded: EncodedFaces,
    order: Sequence[int],
    batch_size: int,
    workers: int = 1,
    buffer_size: int = 2,
    targets: np.ndarray | None = None,
) -> Iterator[tuple[tf.Tensor, ...]]:
    """Yields (crop [B, H, W, 4] float32 in [0, 1], coefficients [B, K], embedding [B, E]) in the given order.

    Args:
      records: a lib.records.RecordReader of RGBA crops.
      encoded: coefficients and embeddings of the same records.
      order: indices into the records; the last, smaller batch is yielded, too.
      batch_size: B.
      workers: threads that read and check records.
      buffer_size: batches kept ready.
      targets: [S, N, 3] albedo to be learned, of all records; where given, [B, N, 3] float32 of it is yielded, too.
    """
    known = [encoded.coefficients, encoded.embeddings] + ([] if targets is None else [targets])
    shapes = [records.shape, *(values.shape[1:] for values in known)]

    def read(indices):
        crops = records.batch(indices).astype(np.float32) / 255.0
        return crops, *(values[indices].astype(np.float32) for values in known)

    def load(indices):
        batch = tf.numpy_function(read, [indices], [tf.float32] * len(shapes), stateful=False)
        for values, shape in zip(batch, shapes, strict=True):
            values.set_shape([None, *shape])
        return tuple(batch)

    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(order, np.int64)).batch(batch_size)
    dataset = dataset.map(load, num_parallel_calls=max(workers, 1), deterministic=True)
    return iter(dataset.prefetch(buffer_size))
