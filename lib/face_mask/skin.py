"""Probability that a pixel is skin, given its colour: two mixtures of four Gaussians in YCbCr.

The parameters are those in Deep3DFaceReconstruction's skin.py. scikit-learn's GaussianMixture gives the same posterior
to 2e-8, but takes seven times as long, plus a second to import.
"""

import dataclasses
from functools import cached_property

import numpy as np

# Prior probability of skin.
SKIN_PRIOR = 0.8


@dataclasses.dataclass(frozen=True)
class GaussianMixture:
    """Gaussians over (Y, Cb, Cr): weights [G], means [G, 3], inverses and determinants of the covariances."""

    weights: np.ndarray
    means: np.ndarray
    precisions: np.ndarray
    determinants: np.ndarray

    @cached_property
    def _whitening(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix [3, 3 G] and offsets [3 G] of the whitening transform of each Gaussian."""
        factors = np.linalg.cholesky(self.precisions)
        return np.concatenate(factors, axis=1), np.einsum("gi,gij->gj", self.means, factors).ravel()

    def density(self, colours: np.ndarray) -> np.ndarray:
        """Density [...] at colours [..., 3] (Y, Cb, Cr)."""
        matrix, offsets = self._whitening
        # One matrix product for all Gaussians: three times as fast as a quadratic form of each.
        squares = np.square(colours @ matrix - offsets).reshape(*colours.shape[:-1], len(self.weights), 3)
        scales = self.weights / ((2 * np.pi) ** 1.5 * np.sqrt(self.determinants))
        return np.exp(-0.5 * squares.sum(-1)) @ scales


def _symmetric(rows: list[list[float]]) -> np.ndarray:
    """Symmetric 3 x 3 matrices from rows (yy, y-cb, y-cr, cb-cb, cb-cr, cr-cr)."""
    return np.asarray(rows)[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


SKIN = GaussianMixture(
    weights=np.array([0.24063933, 0.16365987, 0.26034665, 0.33535415]),
    means=np.array(
        [
            [113.71862, 103.39613, 164.08226],
            [150.19858, 105.18467, 155.51428],
            [183.92976, 107.62468, 152.71820],
            [114.90524, 113.59782, 151.38217],
        ]
    ),
    precisions=_symmetric(
        [
            [0.0019472069, 0.0020450759, -0.00060243998, 0.017700525, 0.0051420014, 0.0081308950],
            [0.0027110141, 0.0011036990, 0.0023122299, 0.010707724, 0.010742856, 0.017481629],
            [0.0048026871, 0.00022935172, 0.0077668377, 0.011729696, 0.0081661865, 0.025374353],
            [0.0011989699, 0.0022453172, -0.0010748957, 0.047758564, 0.020332102, 0.024502251],
        ]
    ),
    determinants=np.array([5692842.5, 5851930.5, 2329131.0, 1585971.0]),
)

NOT_SKIN = GaussianMixture(
    weights=np.array([0.12791070, 0.31130761, 0.34245777, 0.21832393]),
    means=np.array(
        [
            [99.200851, 112.07533, 140.20602],
            [110.91392, 125.52969, 130.19237],
            [129.75864, 129.96107, 126.96808],
            [112.29587, 128.85121, 129.05430],
        ]
    ),
    precisions=_symmetric(
        [
            [0.00085371657, 0.00071197288, 0.00023958916, 0.0025935620, 0.00076557708, 0.0015042332],
            [0.00024650150, 0.00045542428, 0.00015019422, 0.026412144, 0.018419769, 0.037497383],
            [0.00037054974, 0.00038146760, 0.00040408765, 0.0085505722, 0.0079136286, 0.010982352],
            [0.00013709733, 0.00051228428, 0.00012777430, 0.28237113, 0.10528370, 0.23468947],
        ]
    ),
    determinants=np.array([458703648.0, 6466488.0, 90611376.0, 133097.625]),
)


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Converts RGB [..., 3] in [0, 1] to digital-range YCbCr (Y in 16..235, Cb and Cr around 128), not rounded."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    return np.asarray(rgb, np.float64) @ matrix.T + np.array([16.0, 128.0, 128.0])


def skin_posterior(rgb: np.ndarray) -> np.ndarray:
    """Posterior probability of skin.

    Args:
      rgb: [..., 3] RGB in [0, 1].

    Returns:
      float64 [...] in [0, 1]. Saturated colours far from both mixtures give values close to 0.
    """
    colours = ycbcr(rgb)
    skin = SKIN_PRIOR * SKIN.density(colours)
    # The wide background Gaussian keeps the sum above 1e-100 for every RGB colour.
    return skin / (skin + (1 - SKIN_PRIOR) * NOT_SKIN.density(colours))
