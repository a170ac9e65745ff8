"""Random expressions for face models whose expressions have ARKit's names."""

from collections.abc import Sequence

import numpy as np

from lib.human_head.expressions import BOTH, NAMES, PARTING, SIDED, STRENGTH, UNITS

FULL = 1 / STRENGTH  # coefficient of an expression at full strength
# Shares of full strength that a random face reaches: strong ones of these are rare or do not mix with others.
_MOST = {"jawOpen": 0.45, "jawForward": 0.5, "cheekPuff": 0.5, "mouthFunnel": 0.5, "mouthPucker": 0.6, "jaw": 0.4}
_MOST |= {"mouth": 0.5, "mouthShrugUpper": 0.5, "mouthRollUpper": 0.5, "mouthRollLower": 0.5, "eyeBlink": 0.4}
# Share of photos whose lips may part, of photos with a smile for the camera, and of photos with closed eyes.
_OPEN, _SMILES, _CLOSED = 0.3, 0.45, 0.03
# Mouth shapes weaken each other: this many at full strength count fully.
_MOUTH_LIMIT = 1.2
_MOUTH = np.array([name.startswith(("mouth", "jaw")) for name in NAMES])


def is_face_units(names: Sequence[str]) -> bool:
    """True if a model's expressions are those of the human head."""
    return tuple(names) == NAMES


def sample_face_units(generator: np.random.Generator) -> np.ndarray:
    """Draws the expression coefficients [Ke] of one photo: few active units, both sides mostly together."""
    activity = generator.choice([0.0, 0.08, 0.16, 0.3], p=[0.2, 0.35, 0.3, 0.15])
    share = dict.fromkeys(NAMES, 0.0)
    for name in (*BOTH, *SIDED, *UNITS):
        active, strength = generator.random(2) < activity, np.abs(generator.normal(0, 0.4, 2))
        strength = np.minimum(strength, _MOST.get(name, 0.9))
        if name in BOTH:
            share[name] = float(strength[0] * active[0])
        elif name in ("jaw", "mouth"):  # to one side
            share[f"{name}{generator.choice(['Right', 'Left'])}"] = float(strength[0] * active[0])
        else:
            together = generator.random() < 0.85
            right = strength[0] * active[0]
            left = right * generator.uniform(0.75, 1.0) if together else strength[1] * active[1]
            share[f"{name}Right"], share[f"{name}Left"] = float(right), float(left)
    if generator.random() >= _OPEN:
        share |= dict.fromkeys(PARTING, 0.0)
    if generator.random() < _SMILES:
        _add_smile(generator, share)
    if generator.random() < _CLOSED:
        share |= {"eyeBlinkRight": 1.0, "eyeBlinkLeft": 1.0}
    values = np.array(list(share.values()))
    values[_MOUTH] *= min(1.0, _MOUTH_LIMIT / max(values[_MOUTH].sum(), 1e-9))
    return FULL * values


def _add_smile(generator: np.random.Generator, share: dict[str, float]) -> None:
    """A smile for the camera: cheeks and lower lids are raised; half of the smiles show teeth."""
    strength = generator.uniform(0.25, 0.75)
    shows_teeth = generator.random() < 0.5
    upper, lower, jaw = generator.uniform(0.1, 0.4, 2).tolist() + [generator.uniform(0, 0.12)]
    for side in ("Right", "Left"):
        share[f"mouthSmile{side}"] = strength * generator.uniform(0.9, 1.0)
        share[f"cheekSquint{side}"] = 0.4 * strength
        share[f"eyeSquint{side}"] = 0.25 * strength
        if shows_teeth:
            share[f"mouthUpperUp{side}"] = upper * strength
            share[f"mouthLowerDown{side}"] = lower * strength
    if shows_teeth:
        share["jawOpen"] = jaw
