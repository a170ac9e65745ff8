"""Outputs held by small digests: one that changes while its METHOD stays would be served from stale caches."""

from collections.abc import Sequence

import numpy as np

from lib.face_model.face_model import FaceModel

PROJECTIONS = 6


def digest(array: np.ndarray) -> np.ndarray:
    """[PROJECTIONS] of an array on fixed directions of unit length: the sum, and random signs.

    If each of n numbers changes by d at random, so does each projection; if all change by the same d, the sum changes
    by d sqrt(n). Last bits, which differ between processors, hardly show.
    """
    flat = np.asarray(array, np.float64).ravel()
    bits = np.random.default_rng(0).integers(0, 2, (PROJECTIONS, flat.size))
    bits[0] = 1
    return (2 * bits - 1) @ flat / np.sqrt(flat.size)


def check_pinned(method: str, array: np.ndarray, pinned_method: str, pinned: Sequence[float], tolerance: float) -> None:
    """Fails if the output changed and `method` did not, or if the digest of a new method is not pinned yet.

    Args:
      method: METHOD of the code under test.
      array: its output.
      pinned_method, pinned: METHOD and digest of the output when it was pinned.
      tolerance: largest difference of a projection that other processors and libraries may cause.
    """
    found = digest(array)
    text = f"[{', '.join(f'{value:.3f}' for value in found)}]"
    same = np.abs(found - pinned).max() < tolerance
    _check(same, method, pinned_method, f"digest {text}")


def check_pinned_model(method: str, model: FaceModel, pinned_method: str, pinned: str) -> None:
    """Like `check_pinned` for a face model, whose fingerprint is the same on every processor."""
    _check(model.fingerprint == pinned, method, pinned_method, f"fingerprint {model.fingerprint!r}")


def _check(same: bool, method: str, pinned_method: str, found: str) -> None:
    assert method == pinned_method, f"METHOD was raised to {method!r}: pin it with the {found}"
    assert same, (
        f"the output changed while METHOD is still {method!r}, and caches would mix old and new: raise METHOD, then "
        f"pin it with the {found}"
    )
