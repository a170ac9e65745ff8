"""Two-phase fit of a photo: masks found around fitted faces are better than those around initial estimates."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from model.fitting.energy import FitTargets
from model.fitting.fitter import Fitter

# Share of the steps before the masks are computed again around the fitted faces.
FIRST_STEPS = 0.7


@dataclasses.dataclass(frozen=True)
class MaskedFit:
    """Fitted coefficients [B, K] and the masks [B, H, W] found around the faces of the first phase."""

    coefficients: np.ndarray
    alpha: np.ndarray


def fit_with_masks(
    fitter: Fitter,
    targets: FitTargets,
    initial: np.ndarray,
    steps: int,
    find_masks: Callable[[np.ndarray], np.ndarray],
) -> MaskedFit:
    """Fits a batch, computes the masks again around the fitted faces, and makes the remaining steps with those.

    Args:
      fitter: fits the coefficients.
      targets: of the batch; `alpha` holds the masks of the first phase.
      initial: [B, K] coefficients that place the faces approximately.
      steps: of both phases, at least one.
      find_masks: masks [B, H, W] in [0, 1] of the faces of fitted coefficients [B, K].
    """
    first = max(round(FIRST_STEPS * steps), 1)
    coefficients = fitter.fit(targets, initial, first).coefficients
    alpha = find_masks(coefficients)
    if steps > first:
        targets = dataclasses.replace(targets, alpha=tf.constant(alpha[..., None], tf.float32))
        coefficients = fitter.fit(targets, coefficients, steps - first, settled=True).coefficients
    return MaskedFit(coefficients, alpha)
