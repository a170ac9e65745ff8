"""Expected errors and weights of the fit's energy, and the resulting weights of the 468 points."""

import dataclasses

import numpy as np

from configs.photo_sections import Fit
from lib.face_mesh.groups import EYES, LID_PAIRS, LIP_PAIRS, LIPS, OVAL, POINTS
from lib.face_model.face_model import ExpressionPrior, FaceModel

# Pairs of upper and lower points whose distance is an energy term: lips, then eyelids.
PAIRS = np.array(LIP_PAIRS + LID_PAIRS)


@dataclasses.dataclass(frozen=True)
class FitWeights:
    """Expected errors and weights of the energy.

    Attributes:
      point_sigma: error of the five detected points if there are no others, pixels of 224.
      detected_sigma: error of the five detected points next to the 468 points, pixels of 224.
      given_sigma: error of points and landmarks that the user supplied, pixels of 224.
      regressed_sigma: error of the regressor's 68 landmarks, pixels of 224.
      colour_sigma: error of a colour, RGB in [0, 1].
      observations: number of independent measurements that the colours of a face represent.
      asymmetry_sigma: difference in albedo between the two sides of a face.
      outline_sigma: error of the mask's outline, pixels of 224.
      outline_observations: number of independent measurements that an outline represents.
      mesh_observations: number of independent measurements that the 468 points represent.
      mesh_sigma, contour_sigma, feature_sigma: errors of the 468 points in general, on the face's contour, and on eyes
        and lips, pixels of 224.
      lip_sigma: error of the points on the lips in the last step, which moves the expression alone, pixels of 224.
      lip_weight, lid_weight: weights of the openings of lips and eyelids, relative to a point.
    """

    point_sigma: float = 0.5
    detected_sigma: float = 5.0
    given_sigma: float = 0.5
    regressed_sigma: float = 2.5
    colour_sigma: float = 0.06
    observations: float = 300.0
    asymmetry_sigma: float = 0.04
    outline_sigma: float = 2.0
    outline_observations: float = 30.0
    mesh_observations: float = 400.0
    mesh_sigma: float = 1.2
    contour_sigma: float = 2.5
    feature_sigma: float = 0.6
    lip_sigma: float = 0.3
    lip_weight: float = 1.0
    lid_weight: float = 1.0

    @classmethod
    def of(cls, section: Fit) -> "FitWeights":
        """Weights from the configuration's section `fit`."""
        return cls(
            detected_sigma=section.detected_sigma,
            given_sigma=section.given_sigma,
            mesh_observations=section.landmark_observations,
            mesh_sigma=section.landmark_sigma,
            contour_sigma=section.contour_sigma,
            feature_sigma=section.feature_sigma,
            lip_sigma=section.lip_sigma,
            lip_weight=section.lip_weight,
            lid_weight=section.lid_weight,
        )

    @property
    def mesh_sigmas(self) -> np.ndarray:
        """[468] expected errors, pixels of 224."""
        sigma = np.full(POINTS, self.mesh_sigma)
        sigma[list(OVAL)] = self.contour_sigma
        sigma[list(EYES + LIPS)] = self.feature_sigma
        return sigma

    @property
    def refining_sigmas(self) -> np.ndarray:
        """[468] expected errors in the last step, which moves the expression alone, pixels of 224."""
        sigma = self.mesh_sigmas
        sigma[list(LIPS)] = self.lip_sigma
        return sigma

    @property
    def pair_weights(self) -> np.ndarray:
        """[P] weights of the distances `PAIRS`."""
        return np.repeat([self.lip_weight, self.lid_weight], [len(LIP_PAIRS), len(LID_PAIRS)])


@dataclasses.dataclass(frozen=True)
class RegressedErrors:
    """Expected errors of regressed coefficients, in standard deviations of the prior: identity [Ki], albedo [Ka]."""

    identity: np.ndarray
    albedo: np.ndarray


def fitting_prior(face_model: FaceModel) -> ExpressionPrior:
    """The face model's expression prior, or the standard one."""
    return face_model.expression_prior or ExpressionPrior.standard(len(face_model.expression_basis))


def with_landmarks(prior: ExpressionPrior) -> ExpressionPrior:
    """Widens a prior for fits with landmarks, which show whether the mouth is open.

    Narrow priors (most mouths are closed) are for fits to colours, which hardly show it.
    """
    return ExpressionPrior(prior.one_sided, np.maximum(prior.sigma, 1))
