"""Names, strengths and spreads of the human head's expressions: ARKit's names where MakeHuman has the shape."""

import numpy as np

from lib.face_model.face_model import ExpressionPrior

# A coefficient of 1 is this share of full strength; values lie in 0 ... 1 / STRENGTH.
STRENGTH = 0.5
BOTH = (
    "jawOpen", "jawForward", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "browInnerUp", "cheekPuff",
)  # fmt: skip
SIDED = (
    "jaw", "mouth", "mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch", "mouthPress", "mouthLowerDown",
    "mouthUpperUp", "browDown", "browOuterUp", "cheekSquint", "eyeSquint", "eyeWide", "noseSneer",
)  # fmt: skip
# Expressions of MakeHuman's own, averaged over ancestries: faceunits01's eyeBlink pierces the eyeball.
UNITS = {"eyeBlink": "eye-{side}-closure", "noseDilate": "nose-{side}-dilatation"}
SIDES = ("Right", "Left")
NAMES = (*BOTH, *(f"{name}{side}" for name in (*SIDED, *UNITS) for side in SIDES))
# Expressions that part the lips, and their standard deviation in fitting: most lips are closed.
PARTING = (
    "jawOpen",
    "mouthFunnel",
    "mouthLowerDownRight",
    "mouthLowerDownLeft",
    "mouthUpperUpRight",
    "mouthUpperUpLeft",
)
PARTING_SIGMA = 0.35


def expression_prior() -> ExpressionPrior:
    """All expressions are pulls of muscles, so none is negative; lips seldom part."""
    sigma = [PARTING_SIGMA if name in PARTING else 1.0 for name in NAMES]
    return ExpressionPrior(np.ones(len(NAMES), bool), np.array(sigma))
