"""Regions and colours of heads that have eyeballs, teeth and a tongue as parts of their own."""

from collections.abc import Mapping

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.correspondence import Correspondence
from lib.synthetic.builtin.skin_albedo import COLOURS

# Regions that a head with such parts has itself; all others are carried over from the built-in face.
OWN = ("eye", "iris", "pupil", "lips", "mouth_inside", "teeth")
CORNER_COLOUR = (0.62, 0.36, 0.33)
DARKNESS_DEPTH = 0.45  # dm behind the lips, where the inside of the mouth is dark
TEETH_WIDTH = 0.26  # dm from the midline to the last teeth
_PARTS = ("eye", "mouth_inside", "sockets")


def is_inner(own: Mapping[str, np.ndarray]) -> np.ndarray:
    """[N] bool: vertices of eyeballs, sockets and the inside of the mouth, from the head's own regions."""
    return np.maximum.reduce([own[name] for name in _PARTS]) > 0.5


def head_regions(own: Mapping[str, np.ndarray], match: Correspondence, inner: np.ndarray) -> dict[str, np.ndarray]:
    """Regions of a face model: the head's own, and those painted on the built-in face where they fall on skin.

    Args:
      own: the head's regions [N] in [0, 1]: all of `OWN`, and "nostril" if it has one.
      match: of the head with the built-in face.
      inner: see `is_inner`.
    """
    carried = {name: weight * ~inner for name, weight in match.regions().items() if name not in OWN}
    found = {name: np.clip(own[name], 0, 1) for name in (*OWN, "nostril") if name in own}
    found["mouth_inside"] = np.maximum(found["mouth_inside"], own["teeth"])
    return carried | found


def head_albedo(
    own: Mapping[str, np.ndarray],
    shape: np.ndarray,
    upper_lip: float,
    match: Correspondence,
    regions: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Mean [N, 3] and basis [Ka, N, 3] of the albedo: carried over for skin, painted for the parts.

    Args:
      own: the head's regions [N] in [0, 1]: all of `OWN`, "tongue" and "sockets".
      shape: [N, 3] mean face, dm.
      upper_lip: z of the inner border of the upper lip, dm.
      match: of the head with the built-in face.
      regions: from `head_regions`.
    """
    source = match.source
    mean = match.carry(source.mean_albedo).astype(np.float64)
    basis = match.carry(source.albedo_basis).astype(np.float64)

    def paint(weight: np.ndarray, colour, modes: np.ndarray) -> None:
        """Blends towards a colour [3] that varies by `modes` [Ka, 3]."""
        mean[:] += weight[:, None] * (np.asarray(colour) - mean)
        basis[:] += weight[:, None] * (modes[:, None] - basis)

    still = np.zeros((len(basis), 3))
    paint(regions["mouth_inside"], COLOURS["gum"], still)
    paint(own["tongue"], COLOURS["tongue"], still)
    behind = np.clip((upper_lip - shape[:, 2]) / DARKNESS_DEPTH, 0, 1)
    paint(behind * regions["mouth_inside"] * (1 - regions["teeth"]), COLOURS["dark"], still)
    # Teeth lie in the shade of the lips, more so towards the corners.
    dim = 1 - 0.6 * np.clip(np.abs(shape[:, :1]) / TEETH_WIDTH, 0, 1) ** 2
    paint(own["teeth"], dim * COLOURS["teeth"], _average(source, "teeth"))
    paint(own["sockets"], CORNER_COLOUR, still)
    paint(regions["eye"], COLOURS["sclera"], _average(source, "eye", "iris"))
    paint(regions["iris"], COLOURS["iris"], _average(source, "iris", "pupil"))
    paint(regions["pupil"], COLOURS["pupil"], still)
    paint(0.9 * regions["nostril"], COLOURS["nostril"], still)
    return np.clip(mean, 0, 1), basis


def _average(source: FaceModel, region: str, without: str | None = None) -> np.ndarray:
    """[Ka, 3] mean of the albedo basis over a region, without another one inside it."""
    weight = source.regions[region] * (1 - source.regions[without] if without else 1)
    return np.einsum("knc,n->kc", source.albedo_basis, weight, dtype=np.float64) / weight.sum()
