"""Expressions of face models by the names of ARKit's 52 blend shapes, and their weights.

A blend shape at weight 1 is an expression at full strength; left and right are the subject's. The names are those of
Apple's `ARFaceAnchor.BlendShapeLocation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.arguments import finite_number
from lib.errors import UserError
from lib.face_model.face_model import ExpressionPrior, FaceModel
from lib.geometry.smoothstep import smoothstep
from lib.synthetic.builtin.expressions import FULL_STRENGTH, SIGNED
from lib.synthetic.builtin.expressions import expression_prior as built_in_prior

_EYES = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
_MOUTH = ("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch")
_LIPS = ("mouthPress", "mouthLowerDown", "mouthUpperUp")
ARKIT = (
    *(f"{name}{side}" for side in ("Left", "Right") for name in _EYES),
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    *(f"{name}{side}" for name in _MOUTH for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    *(f"{name}{side}" for name in _LIPS for side in ("Left", "Right")),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
# Units of the built-in face, which other models may have adopted -> ARKit's name, without a side where they have two.
_UNITS = {
    "jaw_open": "jawOpen", "pucker": "mouthPucker", "cheek_puff": "cheekPuff", "brow_inner_raise": "browInnerUp",
    "chin_raise": "mouthShrugLower", "lip_press": "mouthPress", "upper_lip_raise": "mouthUpperUp",
    "lower_lip_depress": "mouthLowerDown", "nose_wrinkle": "noseSneer", "eye_wide": "eyeWide", "jaw_sideways": "jaw",
    "mouth_sideways": "mouth", "smile": "mouthSmile", "mouth_stretch": "mouthStretch", "frown": "mouthFrown",
    "brow_outer_raise": "browOuterUp", "brow_lower": "browDown", "blink": "eyeBlink", "squint": "eyeSquint",
}  # fmt: skip
# A unit that moves both sides is split into halves that blend over this distance [dm] on each side of the midline.
HALF_WIDTH = 0.1
SOURCES = "built-in, human-head and ICT-FaceKit have them, and meshes with expressions named as ARKit's"


@dataclass(frozen=True)
class _Shape:
    """A blend shape: the expressions that it adds up, and the share of their coefficients that is its weight.

    Attributes:
      name: ARKit's, or the model's own.
      moved: expressions whose full strength is the blend shape at weight 1.
      sign: of the displacement.
      side: 0 for the whole face, 1 for the subject's left half, -1 for the right half.
      weight: "value": the coefficient; "part": its part of this sign; "common": what two coefficients have in common;
        "rest": what is left of the first one of `read`.
      read: expressions whose coefficients give the weight.
    """

    name: str
    moved: tuple[int, ...]
    read: tuple[int, ...]
    sign: int = 1
    side: int = 0
    weight: str = "value"


@dataclass(frozen=True)
class BlendShapes:
    """The blend shapes of a face model: ARKit's in ARKit's order, then those that ARKit does not name.

    At the weights of a face's coefficients they add up to its expression.
    """

    shapes: tuple[_Shape, ...]
    strength: float

    @classmethod
    def of(cls, model: FaceModel) -> "BlendShapes":
        """Finds the blend shapes of a model by its expressions' names.

        Raises:
          UserError: none of the names is known.
        """
        names = model.expression_names
        # All coefficients of a model have one scale, so its most frequent kind of names decides: a model with ARKit's
        # may have "smile" besides, and one with the built-in face's may have "tongueOut".
        if len(set(names) & set(_built_in_names())) > len(set(names) & set(_arkit_names())):
            shapes, usual = _built_in_shapes(names), 1 / FULL_STRENGTH
        else:
            shapes, usual = _named_shapes(names), 1.0
        if not any(shape.name in ARKIT for shape in shapes):
            got = f"{len(model.expression_basis)} without such names" if names else "expressions without names"
            raise UserError(
                f"a rig needs a face model with expressions that ARKit names ({SOURCES}), got {model.name!r} with "
                f"{got}; leave rig out of --export or choose another face_model.source"
            )
        strength = model.expression_strength
        return cls(tuple(sorted(shapes, key=_place)), usual if strength is None else strength)

    @property
    def names(self) -> tuple[str, ...]:
        """[T] names."""
        return tuple(shape.name for shape in self.shapes)

    def weights(self, expression: np.ndarray) -> np.ndarray:
        """[..., T] weights of expression coefficients [..., Ke]; 1 is full strength, noise may be below 0."""
        values = np.asarray(expression, np.float64) * self.strength
        return np.stack([_weight(shape, values) for shape in self.shapes], axis=-1)

    def arkit_weights(self, expression: np.ndarray) -> dict[str, np.ndarray]:
        """ARKit's names that the model has -> weights [...] of expression coefficients [..., Ke]."""
        weights = self.weights(expression)
        return {name: weights[..., place] for place, name in enumerate(self.names) if name in ARKIT}

    def changed(
        self, model: FaceModel, vertices: np.ndarray, expression: np.ndarray, wanted: Mapping[str, float]
    ) -> np.ndarray:
        """[N, 3] vertices of a face [N, 3] with coefficients [Ke], after some of its weights are replaced.

        Args:
          model: the face model of these blend shapes.
          vertices: with the expression, in the frame of the model, dm.
          expression: the coefficients.
          wanted: name -> weight in place of the face's own; other weights stay.

        Raises:
          UserError: the model has no blend shape of a name, or a weight is not a number.
        """
        if not isinstance(wanted, Mapping):
            raise UserError(f'an expression must be names and weights, such as {{"jawOpen": 0.5}}, got {wanted!r:.60}')
        if unknown := [name for name in wanted if name not in self.names]:
            raise UserError(f"expressions must be of {', '.join(self.names)}, got {', '.join(map(str, unknown))}")
        change = np.zeros(len(self.names))
        for name, weight in wanted.items():
            place = self.names.index(name)
            change[place] = finite_number(f"the weight of {name}", weight) - self.weights(expression)[place]
        return vertices + np.tensordot(change, self.displacements(model), 1).astype(np.float32)

    def displacements(self, model: FaceModel) -> np.ndarray:
        """[T, N, 3] float32 displacements at weight 1, dm."""
        left = smoothstep(0.5 + model.mean_shape[:, 0] / (2 * HALF_WIDTH))
        halves = {0: np.ones_like(left), 1: left, -1: 1 - left}
        return np.stack(
            [
                model.expression_basis[list(shape.moved)].sum(axis=0)
                * (shape.sign / self.strength * halves[shape.side])[:, None]
                for shape in self.shapes
            ]
        ).astype(np.float32)


def arkit_weights(model: FaceModel, expression: np.ndarray) -> dict[str, np.ndarray]:
    """`BlendShapes.arkit_weights` of a model; empty if it has no such expressions."""
    try:
        shapes = BlendShapes.of(model)
    except UserError:
        return {}
    return shapes.arkit_weights(expression)


def prior_of_names(names: Sequence[str]) -> ExpressionPrior | None:
    """The prior of expressions named as ARKit's, or as the built-in face's units; None if none of them is.

    ARKit's weights are not negative: with both signs, jaws would open upwards in fits. All other expressions count as
    two-sided with unit variance.
    """
    known = set(_arkit_names())
    one_sided = np.array([name in known for name in names], bool)
    prior = built_in_prior(names)
    if not one_sided.any():
        return prior
    prior = prior or ExpressionPrior.standard(len(names))
    return ExpressionPrior(prior.one_sided | one_sided, prior.sigma)


def _weight(shape: _Shape, values: np.ndarray) -> np.ndarray:
    first = values[..., shape.read[0]]
    if shape.weight == "value":
        return first
    if shape.weight == "part":
        return np.maximum(shape.sign * first, 0)
    second = values[..., shape.read[1]]
    common = np.where(first * second > 0, np.sign(first) * np.minimum(np.abs(first), np.abs(second)), 0.0)
    return common if shape.weight == "common" else first - common


def _place(shape: _Shape) -> int:
    return ARKIT.index(shape.name) if shape.name in ARKIT else len(ARKIT)


def _named_shapes(names: Sequence[str]) -> list[_Shape]:
    """Blend shapes of expressions named like ARKit's, or like ICT-FaceKit's with _L and _R for Left and Right.

    Where the model has a left and a right expression and ARKit a single one, ARKit's gets what both coefficients have
    in common; the remainder of each stays under the model's names. So does an expression whose ARKit name another one
    has already: meshes from two sources may have both spellings.
    """
    shapes = []
    for number, name in enumerate(names):
        plain, sided = name, {"_L": "Left", "_R": "Right"}.get(name[-2:])
        if sided:
            plain = name[:-2]
        if not sided or plain + sided in ARKIT:
            full = plain + (sided or "")
            shapes.append(_Shape(name if full in names else full, (number,), (number,)))
            continue
        other = f"{plain}_{'R' if sided == 'Left' else 'L'}"
        if plain not in ARKIT or plain in names or other not in names:
            shapes.append(_Shape(name, (number,), (number,)))
            continue
        both = (number, names.index(other))
        if sided == "Left":
            shapes.append(_Shape(plain, both, both, weight="common"))
        shapes.append(_Shape(name, (number,), both, weight="rest"))
    return shapes


def _arkit_names() -> list[str]:
    """ARKit's names, also with _L and _R as ICT-FaceKit has them."""
    sides = [f"{name.removesuffix(side)}_{side[0]}" for name in ARKIT for side in ("Left", "Right")]
    return [*ARKIT, *sides]


def _built_in_names() -> list[str]:
    return [f"{unit}{side}" for unit in _UNITS for side in ("", "_left", "_right")]


def _built_in_shapes(names: Sequence[str]) -> list[_Shape]:
    """Blend shapes of the built-in face's units; those that move both sides become ARKit's left and right halves."""
    shapes = []
    for number, name in enumerate(names):
        own = ((number,), (number,))
        unit, _, side = name.rpartition("_")
        if side in ("left", "right") and unit in _UNITS:
            shapes.append(_Shape(_UNITS[unit] + side.capitalize(), *own))
        elif name in SIGNED:
            shapes += [
                _Shape(f"{_UNITS[name]}{side}", *own, sign=sign, weight="part")
                for side, sign in (("Left", 1), ("Right", -1))
            ]
        elif (plain := _UNITS.get(name, name)) in ARKIT or name not in _UNITS:
            shapes.append(_Shape(plain, *own))
        else:
            shapes += [_Shape(f"{plain}{side}", *own, side=sign) for side, sign in (("Left", 1), ("Right", -1))]
    return shapes
