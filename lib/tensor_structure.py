"""Dataclasses of tensors that a tf.function can take and return."""

import dataclasses
from collections.abc import Iterable
from typing import Self


@dataclasses.dataclass(frozen=True)
class TensorStructure:
    """Base class of frozen dataclasses whose fields are tensors or nested structures, or None if that is the default.

    Implements TensorFlow's nest protocol: tf.function and tf.nest accept and return such dataclasses like dicts.
    """

    def __tf_flatten__(self) -> tuple[tuple, tuple]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        present = {name: value for name, value in values.items() if value is not None}
        return tuple(present), tuple(present.values())

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple, components: Iterable) -> Self:
        return cls(**dict(zip(metadata, components, strict=True)))
