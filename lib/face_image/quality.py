"""Checks that leave unusable faces out of the crops; each reason has a kind, for tables, and an explanation."""

import numpy as np

from lib.errors import UserError

# Kinds of reasons, for tables.
KILLED, DELETED = "killed", "deleted"
KINDS = (
    *("no face", "too small", "blurred", "cut off", "mask failed", "bad landmarks or mask", "unreadable", "failed"),
    *(KILLED, DELETED),
)
# Width of a face at the cheekbones in decimetres; converts the scale of the alignment to a width in pixels.
FACE_BREADTH = 1.4
# Borders of the window in an aligned crop where blur is measured: brows to chin, without hair and background.
BLUR_WINDOW = (0.25, 0.8)
# A mask whose share of the posed face's area is outside this range does not follow the face.
MASK_SHARES = (0.4, 1.5)
# Minimum share of the posed face that must be inside the photo.
LEAST_INSIDE = 0.7


class Unusable(UserError):
    """A face or photo that is left out.

    Attributes:
      kind: one of `KINDS`.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind = kind

    def __reduce__(self) -> tuple[type["Unusable"], tuple[str, str]]:
        """For its way out of a worker process; exceptions are copied by their `args`, which lack the kind."""
        return type(self), (self.kind, str(self))


def check_size(scale: float, least: float) -> float:
    """Returns the face's width in pixels of the photo.

    Args:
      scale: pixels of the photo per decimetre (`Alignment.scale`).
      least: minimum width, pixels.

    Raises:
      Unusable: the face is narrower than `least`.
    """
    width = FACE_BREADTH * scale
    if width < least:
        raise Unusable(
            "too small", f"face too small: {_unlike(width, least, 0)} px wide, needs {least:g} (prepare.min_width)"
        )
    return width


def check_sharpness(crop: np.ndarray, most: float) -> float:
    """Returns the face's blur after Crete et al. 2007 (The blur effect): 0 sharp, 1 so blurred that more has no effect.

    Args:
      crop: uint8 [S, S, 3], aligned; S is REFERENCE_SIZE, because smaller crops of a photo are sharper.
      most: maximum blur.

    Raises:
      Unusable: the face is blurrier than `most`.
    """
    from skimage.measure import blur_effect  # slow to import, and not needed to reconstruct

    first, last = (round(share * crop.shape[0]) for share in BLUR_WINDOW)
    blur = float(blur_effect(crop[first:last, first:last], channel_axis=-1))
    if not blur <= most:
        raise Unusable("blurred", f"blurred: blur {_unlike(blur, most, 2)} of 1, at most {most:g} (prepare.max_blur)")
    return blur


def check_mask(alpha: np.ndarray, silhouette: np.ndarray, inside: np.ndarray, given: bool) -> float:
    """Returns the mask's area as a share of the posed face's area.

    Args:
      alpha: [S, S] in [0, 1].
      silhouette: bool [S, S], the posed face.
      inside: bool [S, S], pixels of the crop that the photo covers.
      given: the mask came with the photo; its area is not checked; it must show some of the posed face.

    Raises:
      Unusable: the photo cuts the face off, or the mask does not match the face.
    """
    covered = float(inside[silhouette].mean()) if silhouette.any() else 0.0
    if covered < LEAST_INSIDE:
        got = _unlike(100 * covered, 100 * LEAST_INSIDE, 0)
        raise Unusable("cut off", f"face cut off: {got}% of it is inside the photo, needs {LEAST_INSIDE:.0%}")
    share = float((alpha >= 0.5).sum() / silhouette.sum())
    if given:
        if not (alpha[silhouette] >= 0.5).any():
            raise Unusable("mask failed", "mask failed: the given mask is empty on the face")
        return share
    low, high = MASK_SHARES
    if not low <= share <= high:
        got = _unlike(100 * share, 100 * (low if share < low else high), 0)
        raise Unusable(
            "mask failed",
            f"mask failed: it has {got}% of the expected area, needs {low:.0%} to {high:.0%} "
            "(give one as <photo>_mask.png or as alpha)",
        )
    return share


def _unlike(value: float, limit: float, digits: int) -> str:
    """A value with so many decimals, or more if it would be shown as if it kept to the limit that it misses.

    As percentages, the two may be equal by rounding.
    """
    while value != limit and (round(value, digits) - limit) * (value - limit) <= 0:
        digits += 1
    return f"{value:.{digits}f}"
