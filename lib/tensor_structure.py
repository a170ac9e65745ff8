"""Named results that a tf.function may take and return."""

import dataclasses
from collections.abc import Iterable
from typing import Self


@dataclasses.dataclass(frozen=True)
class TensorStructure:
    """Base of frozen dataclasses whose fields are tensors or further structures.

    TensorFlow's nest protocol: with these two methods a dataclass is an argument or a result of a tf.function, and of
    tf.nest, like a dict.
    """

    def __tf_flatten__(self) -> tuple[tuple, tuple]:
        return (), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple, components: Iterable) -> Self:
        return cls(*components)
