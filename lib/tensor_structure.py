"""Named results that may cross the border of a tf.function."""

import dataclasses


class TensorStructure:
    """Base of frozen dataclasses whose fields are tensors or further structures.

    TensorFlow's nest protocol: with these two methods a dataclass is an argument or a result of a tf.function, and of
    tf.nest, like a dict.
    """

    def __tf_flatten__(self):
        return (), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @classmethod
    def __tf_unflatten__(cls, metadata, components):
        return cls(*components)
