"""TensorFlow's optimizer of graphs (Grappler), which is not worth its time for graphs that run a few times."""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

_OFF = "disable_meta_optimizer"
_setting = threading.RLock()  # the option applies to the whole process


@contextlib.contextmanager
def unoptimized_graphs() -> Iterator[None]:
    """Context manager in which this thread runs graphs as they were traced; other threads wait before theirs."""
    with _setting:
        before = tf.config.optimizer.get_experimental_options().get(_OFF, False)
        tf.config.optimizer.set_experimental_options({_OFF: True})
        try:
            yield
        finally:
            tf.config.optimizer.set_experimental_options({_OFF: before})
