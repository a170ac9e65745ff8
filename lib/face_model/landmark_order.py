"""A check that 68 landmarks are in iBUG's order and lie as on a face."""

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel

# Maximum RMS distance [dm] from the built-in face's landmarks after alignment. Models of people are within 0.1, strong
# caricatures and flat cartoons with large eyes within 0.23; both eyes exchanged give 0.28, all numbers shifted by one
# 0.32, all sides exchanged or the jaw reversed 0.5, random orders 0.7.
MISFIT = 0.25
# Pairs (right, left) of the subject, and pairs (upper, lower): parts in a wrong order are out of place by less than
# MISFIT if they are as small as a mouth.
SIDES = (
    *((i, 16 - i) for i in range(8)), *((i, 43 - i) for i in range(17, 22)), (31, 35), (32, 34),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65),
)  # fmt: skip
HEIGHTS = ((37, 41), (38, 40), (43, 47), (44, 46), (50, 58), (51, 57), (52, 56))
# A pair may be this far [dm] out of order: lids may be closed, and coarse meshes have few vertices to choose from.
TOLERANCE = 0.03


def check_landmarks(points: np.ndarray, source: FaceModel, where: object) -> np.ndarray:
    """Aligns landmarks with those of a model whose order is right, and refuses them if they are in another order.

    Args:
      points: [68, 3] in any units, place and orientation.
      source: the model.
      where: file or folder of the landmarks, for messages.

    Returns:
      [4, 4] float64, the similarity that maps the points to the model's frame, for column vectors (Umeyama 1991).

    Raises:
      UserError: they do not lie as on a face.
    """
    reference = source.mean_shape[source.landmarks].astype(np.float64)
    points = np.asarray(points, np.float64)
    similarity, aligned, misfit = _aligned(points, reference)
    if not misfit <= MISFIT:
        mirrored = _aligned(points, reference, reflection=True)[2] <= MISFIT
        hint = "the usual 68 in their order, 0 at the jaw at the left of the image?"
        if mirrored:
            hint = "is x mirrored, as in left-handed programs? otherwise all sides are exchanged"
        raise UserError(
            f"{where}: landmarks must lie as on a face, within {MISFIT * 100:g} mm of the built-in face's in the mean, "
            f"got {misfit * 100:.0f} mm ({hint})"
        )
    for pairs, axis, place in ((SIDES, 0, "to the left of"), (HEIGHTS, 1, "above")):
        sign = 1 if axis else -1
        for first, second in pairs:
            if sign * (aligned[first, axis] - aligned[second, axis]) < -TOLERANCE:
                raise UserError(
                    f"{where}: landmarks must be the usual 68 in their order, {first} {place} {second} in an image of "
                    f"the face, got them the other way round"
                )
    return similarity


def _aligned(
    points: np.ndarray, reference: np.ndarray, reflection: bool = False
) -> tuple[np.ndarray, np.ndarray, float]:
    """The similarity [4, 4] of points [L, 3] and a reference [L, 3], the points moved by it, and their RMS distance."""
    from trimesh.registration import procrustes  # a quarter of a second, and needed only for models of one's own

    with np.errstate(all="ignore"):  # all points in one place
        similarity, _, _ = procrustes(points, reference, reflection=reflection)
    aligned = points @ similarity[:3, :3].T + similarity[:3, 3]
    return similarity, aligned, float(np.sqrt(np.square(aligned - reference).sum(axis=1).mean()))
