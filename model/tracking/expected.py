"""What tracking expects of expressions and of the landmarks that follow them, by ARKit's names."""

import dataclasses

import numpy as np

from lib.errors import UserError
from lib.face_mesh.groups import LIPS
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import ExpressionPrior, FaceModel
from lib.face_model_files.arkit import BlendShapes
from model.fitting.weights import fitting_prior, with_landmarks

# Standard deviations, in shares of full strength, of what faces do first (jaw, lids, brows, smiles) and of what only
# accompanies it. Landmarks hardly distinguish them: the jaw parts the lips, as the muscles of both lips do, and with
# equal standard deviations the fit would pull the lips apart in front of closed teeth.
LEADING = {
    "jawOpen": 0.8, "eyeBlink": 0.75, "mouthSmile": 0.5, "mouthPucker": 0.5, "browInnerUp": 0.5, "browOuterUp": 0.5,
    "browDown": 0.5, "mouthFunnel": 0.35, "mouthFrown": 0.35, "mouthUpperUp": 0.25, "mouthLowerDown": 0.15,
    "noseSneer": 0.25, "eyeSquint": 0.25, "eyeWide": 0.25,
}  # fmt: skip
ACCOMPANYING = 0.2
# Slope of the energy of one-sided expressions at full strength: a muscle is at rest rather than a little tense.
REST = 2.0
# The network's points on the skin around the lips follow an opening jaw less than the lips do: they move if the jaw
# moves them by this share of its largest movement, and their expected error is this, pixels of 224.
LEAST_SHARE, SKIN_SIGMA = 0.15, 8.0


@dataclasses.dataclass(frozen=True)
class Expected:
    """Prior of a face model's expressions and errors of the landmarks.

    Attributes:
      prior: standard deviations and one-sided expressions.
      rest: [Ke] slope of the energy of one-sided expressions.
      point_sigmas: [468] expected errors, pixels of 224.
    """

    prior: ExpressionPrior
    rest: np.ndarray
    point_sigmas: np.ndarray

    @classmethod
    def of(cls, face_model: FaceModel, points: SurfacePoints, point_sigmas: np.ndarray) -> "Expected":
        """For a face model; if it has no expressions that ARKit names, its own prior and the errors given [468]."""
        prior = with_landmarks(fitting_prior(face_model))
        sigma, rest, sigmas = prior.sigma.copy(), np.zeros(len(prior.sigma)), point_sigmas.copy()
        try:
            shapes = BlendShapes.of(face_model)
        except UserError:
            return cls(prior, rest, sigmas)
        for shape in shapes.shapes:
            if shape.weight == "rest":  # its coefficient is that of a shape with ARKit's name, too
                continue
            sigma[list(shape.moved)] = LEADING.get(_without_side(shape.name), ACCOMPANYING) / shapes.strength
            if shape.name == "jawOpen":
                moved = np.linalg.norm(points.on(face_model.expression_basis[list(shape.moved)].sum(axis=0)), axis=1)
                skin = np.setdiff1d(np.flatnonzero(moved > LEAST_SHARE * moved.max()), LIPS)
                sigmas[skin] = np.maximum(sigmas[skin], SKIN_SIGMA)
        rest[np.asarray(prior.one_sided, bool)] = REST * shapes.strength
        return cls(ExpressionPrior(prior.one_sided, sigma), rest, sigmas)


def _without_side(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")
