"""Layout of the flat coefficient vector: the names, sizes and order of its parts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lib.tensor_structure import TensorStructure

ANGLES = 3
LIGHT = 27  # three colour channels times the bands of lib.geometry.lighting
TRANSLATION = 3


@dataclass(frozen=True)
class Coefficients(TensorStructure):
    """The parts of a coefficient vector, as NumPy arrays or tensors.

    Attributes:
      identity: [..., Ki], unit variance under the model's prior.
      expression: [..., Ke], unit variance under the model's prior.
      albedo: [..., Ka], unit variance under the model's prior.
      angles: [..., 3] pitch about x, yaw about y, roll about z, radians.
      light: [..., 27] spherical harmonics, nine for R, then G, then B, added to the ambient light of 0.8.
      translation: [..., 3] decimetres, world frame.
    """

    identity: Any
    expression: Any
    albedo: Any
    angles: Any
    light: Any
    translation: Any


@dataclass(frozen=True)
class CoefficientLayout:
    """Number of coefficients in each part; splits and joins the flat vector [..., K].

    The order is identity, expression, albedo, angles, light, translation (80 + 64 + 80 + 3 + 27 + 3 = 257 for the
    Basel model).
    """

    identity: int
    expression: int
    albedo: int

    def __post_init__(self):
        for name in ("identity", "expression", "albedo"):
            count = getattr(self, name)
            if count < 0:
                raise ValueError(f"number of {name} coefficients must not be negative, got {count}")

    @property
    def counts(self) -> dict[str, int]:
        """Number of coefficients of each part, in the order of the flat vector."""
        return {
            "identity": self.identity,
            "expression": self.expression,
            "albedo": self.albedo,
            "angles": ANGLES,
            "light": LIGHT,
            "translation": TRANSLATION,
        }

    @property
    def size(self) -> int:
        """K, the length of the flat vector."""
        return sum(self.counts.values())

    @property
    def slices(self) -> dict[str, slice]:
        """Slice of each part in the flat vector."""
        result, start = {}, 0
        for name, count in self.counts.items():
            result[name] = slice(start, start + count)
            start += count
        return result

    def split(self, flat) -> Coefficients:
        """Splits `flat` [..., K], an array or a tensor, into its named parts."""
        if flat.shape[-1] != self.size:
            raise ValueError(
                f"coefficients must be [..., {self.size}] ({self._formula()}), got {list(flat.shape)} "
                "(were they made with another face model?)"
            )
        return Coefficients(**{name: flat[..., part] for name, part in self.slices.items()})

    def join(self, coefficients: Coefficients):
        """Joins the parts into the flat vector [..., K]; an array if all parts are arrays, otherwise a tensor."""
        parts = [getattr(coefficients, field.name) for field in fields(Coefficients)]
        for (name, count), part in zip(self.counts.items(), parts, strict=True):
            if part.shape[-1] != count:
                raise ValueError(f"{name} must be [..., {count}], got {list(part.shape)}")
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.concatenate(parts, axis=-1)
        import tensorflow as tf  # imported here: processes that prepare data do not need TensorFlow

        return tf.concat(parts, axis=-1)

    def _formula(self) -> str:
        return " + ".join(f"{count} {name}" for name, count in self.counts.items())
