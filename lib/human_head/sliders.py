"""MakeHuman's face sliders: pairs of targets, and the spread of people's heads along each.

A slider of value v adds the first target v times -1 if v is negative, otherwise the second target v times: the two are
not exact opposites. The spreads and means were calibrated against published anthropometry.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "asym", "neck")
# Placement of the head on the body, and the neck's own shape.
LEFT_OUT = re.compile(r"head-trans-|asymm-|measure-|neck-(?!double)")
OPPOSITES = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"),
)  # fmt: skip
ONE_SIDED_SHARE = 0.35  # of heads with any value of a one-sided slider
COMMON, SEPARATE = 0.97, 0.2  # a pair of sliders for left and right: share of sigma in common, and on each side
_SIGMA = 0.3
# Base spread of the sliders whose name matches; the first match counts.
_BASES = (
    (r"asym-", 0.15),
    (r"head-(scale|back)", 0.3),
    (r"[lr]-eye-(eyefold|epicanthus|bag)", 0.4),
    (r"(nose|mouth)-trans#in", 0.1),
    (r"", 0.35),
)
# Keys: family without l-/r-, "#", first target's word. Spreads are multiplied by, and means shifted to:
MULTIPLIER = {
    "head-age#decr": 1.046, "head-fat#decr": 1.946, "head-scale-horiz#decr": 1.171, "head-scale-vert#decr": 0.855,
    "eyebrows-angle#down": 1.01, "eye-push1#in": 0.726, "eye-push2#in": 1.337, "eye-scale#decr": 0.726,
    "eye-trans#in": 1.789, "nose-base#down": 1.261, "nose-compression#compress": 0.983, "nose-curve#concave": 1.057,
    "nose-flaring#decr": 0.979, "nose-hump#decr": 0.947, "nose-nostrils-width#decr": 0.952, "nose-point#down": 1.04,
    "nose-scale-depth#decr": 0.587, "nose-scale-horiz#decr": 0.945, "nose-scale-vert#decr": 1.459,
    "nose-septumangle#decr": 0.981, "nose-trans#backward": 0.99, "nose-trans#down": 0.846, "nose-volume#decr": 0.986,
    "nose-width3#decr": 0.945, "mouth-lowerlip-height#decr": 1.068, "mouth-lowerlip-middle#down": 1.025,
    "mouth-philtrum-volume#decr": 0.974, "mouth-scale-depth#decr": 0.992, "mouth-scale-horiz#decr": 0.825,
    "mouth-scale-vert#decr": 1.052, "mouth-trans#backward": 0.709, "mouth-trans#down": 0.672,
    "mouth-upperlip-height#decr": 0.956, "mouth-upperlip-middle#down": 0.931, "mouth-upperlip-width#decr": 0.957,
    "ear-scale#decr": 0.977, "chin-height#decr": 0.815, "chin-prognathism#decr": 1.02, "chin-prominent#decr": 1.009,
    "cheek-volume#decr": 1.043,
}  # fmt: skip
OFFSET = {
    "head-age#decr": 0.112, "head-angle#in": -0.024, "head-fat#decr": 0.117, "head-scale-horiz#decr": -0.052,
    "head-scale-vert#decr": 0.077, "forehead-temple#decr": -0.031, "eyebrows-angle#down": -0.015,
    "eye-push1#in": -0.022, "eye-push2#in": 0.242, "eye-scale#decr": 0.175, "eye-trans#in": 0.032,
    "nose-base#down": -0.023, "nose-compression#compress": 0.035, "nose-curve#concave": 0.032,
    "nose-greek#decr": -0.038, "nose-hump#decr": -0.012, "nose-point#down": -0.083, "nose-scale-depth#decr": 0.225,
    "nose-scale-vert#decr": 0.059, "nose-septumangle#decr": 0.016, "nose-trans#backward": 0.012,
    "nose-trans#down": 0.031, "nose-volume#decr": -0.049, "mouth-cupidsbow#decr": 0.011,
    "mouth-lowerlip-height#decr": -0.087, "mouth-lowerlip-middle#down": -0.057, "mouth-philtrum-volume#decr": 0.011,
    "mouth-scale-horiz#decr": -0.191, "mouth-scale-vert#decr": -0.156, "mouth-trans#backward": -0.031,
    "mouth-trans#down": -0.129, "mouth-upperlip-height#decr": -0.087, "mouth-upperlip-middle#down": -0.087,
    "mouth-upperlip-volume#decr": -0.005, "mouth-upperlip-width#decr": -0.079, "ear-scale#decr": 0.114,
    "chin-bones#decr": 0.008, "chin-cleft#decr": -0.015, "chin-height#decr": 0.02, "chin-prognathism#decr": 0.007,
    "chin-prominent#decr": -0.059, "cheek-bones#decr": -0.007, "cheek-volume#decr": 0.079,
}  # fmt: skip


@dataclass(frozen=True)
class Slider:
    """One slider.

    Attributes:
      targets: names of the first and the second target; the first is "" for a one-sided slider.
      sigma: standard deviation over people; of one-sided ones, before the absolute value.
      mean: its mean.
      pair: "" or the name shared by the sliders of the left and the right side.
    """

    targets: tuple[str, str]
    sigma: float
    mean: float
    pair: str

    @property
    def is_one_sided(self) -> bool:
        return not self.targets[0]


def sliders(names: Iterable[str]) -> list[Slider]:
    """Groups targets by name into sliders, sorted; the names must not include targets that are not sliders."""
    left = {name for name in names if not LEFT_OUT.match(name)}
    found = []
    while left:
        name = min(left)
        first, second = _opposites(name, left)
        left -= {first, second}
        found.append(_slider(first, second))
    return found


def _opposites(name: str, names: set[str]) -> tuple[str, str]:
    """First and second target of the slider that `name` belongs to; ("", name) if it has no opposite."""
    stem, _, word = name.rpartition("-")
    for pair in (*OPPOSITES, ("l", "r")) if stem.startswith("asym-") else OPPOSITES:
        if word in pair and {f"{stem}-{pair[0]}", f"{stem}-{pair[1]}"} <= names:
            return f"{stem}-{pair[0]}", f"{stem}-{pair[1]}"
    return "", name


def _slider(first: str, second: str) -> Slider:
    stem, _, word = (first or second).rpartition("-")
    side, family = (stem[:2], stem[2:]) if re.match(r"[lr]-", stem) else ("", stem)
    key = f"{family}#{word}"
    base = next(base for pattern, base in _BASES if re.match(pattern, f"{side}{key}"))
    sigma = _SIGMA * base * MULTIPLIER.get(key, 1.0)
    return Slider((first, second), sigma, OFFSET.get(key, 0.0), f"{key}" if side else "")
