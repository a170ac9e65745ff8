"""Named results that a tf.function may take and return."""

import dataclasses
from collections.abc import Iterable
from typing import Self


@dataclasses.dataclass(frozen=True)
class TensorStructure:
    """Base of frozen dataclasses whose fields are tensors or further structures, or None where that is the default.

    TensorFlow's nest protocol: with these two methods a dataclass is an argument or a result of a tf.function, and of
    tf.nest, like a dict.
    """

    def __tf_flatten__(self) -> tuple[tuple, tuple]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        present = {name: value for name, value in values.items() if value is not None}
        return tuple(present), tuple(present.values())

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple, components: Iterable) -> Self:
        return cls(**dict(zip(metadata, components, strict=True)))
