"""The 68 landmarks of the built-in face: places on the half surface, mirrored for the other half."""

import numpy as np

from lib.synthetic.builtin.grid import EYE_INNER, EYE_OUTER, MOUTH_CORNER, Grid

# (landmark on the subject's right, landmark on the subject's left or the same for the midline): x, y in millimetres
# from the midline and where to look: a row of the grid ("@jaw") or any skin row ("").
_PLACES = (
    ((0, 16), (73.6, 39.0), ""),
    ((1, 15), (72.4, 18.0), ""),
    ((2, 14), (69.8, -2.0), ""),
    ((3, 13), (64.6, -21.0), ""),
    ((4, 12), (54.6, None), "jaw"),
    ((5, 11), (42.4, None), "jaw"),
    ((6, 10), (29.4, None), "jaw"),
    ((7, 9), (15.0, None), "jaw"),
    ((8, 8), (0.0, None), "jaw"),
    ((17, 26), (57.0, 55.0), ""),
    ((18, 25), (49.0, 59.6), ""),
    ((19, 24), (37.5, 61.4), ""),
    ((20, 23), (24.0, 59.9), ""),
    ((21, 22), (12.0, 57.6), ""),
    ((27, 27), (0.0, 40.0), ""),
    ((28, 28), (0.0, 28.9), ""),
    ((29, 29), (0.0, 16.8), ""),
    ((30, 30), (0.0, 3.8), ""),
    ((31, 35), (12.4, -9.6), ""),
    ((32, 34), (6.0, -8.9), ""),
    ((33, 33), (0.0, -9.4), ""),
    ((36, 45), (EYE_OUTER, None), "crease"),
    ((37, 44), (37.9, None), "crease"),
    ((38, 43), (25.7, None), "crease"),
    ((39, 42), (EYE_INNER, None), "crease"),
    ((40, 47), (25.7, None), "lower_lid"),
    ((41, 46), (37.9, None), "lower_lid"),
    ((48, 54), (MOUTH_CORNER - 1.0, None), "mouth"),
    ((49, 53), (16.6, None), "philtrum"),
    ((50, 52), (6.0, None), "philtrum"),
    ((51, 51), (0.0, None), "philtrum"),
    ((59, 55), (17.6, None), "lower_lip"),
    ((58, 56), (9.6, None), "lower_lip"),
    ((57, 57), (0.0, None), "lower_lip"),
    ((60, 64), (22.0, None), "upper_lip"),
    ((61, 63), (9.8, None), "upper_lip"),
    ((62, 62), (0.0, None), "upper_lip"),
    ((67, 65), (9.8, None), "mouth"),
    ((66, 66), (0.0, None), "mouth"),
)


def half_landmarks(grid: Grid, position: np.ndarray) -> dict[tuple[int, int], tuple[int, int]]:
    """Row and column of every landmark on the half face.

    Args:
      grid: the half grid.
      position: [R, C, 3] its mean surface, millimetres.

    Returns:
      (number on the subject's right, number on the left) -> (row, column); equal numbers lie on the midline.
    """
    hidden = np.isin(grid.section, ("under", "mouth", "ball"))
    found = {}
    for numbers, (x, y), row_name in _PLACES:
        if row_name:
            row = grid.rows[row_name]
            found[numbers] = (row, int(np.argmin(np.abs(position[row, :, 0] - x))))
            continue
        distance = np.hypot(position[..., 0] - x, position[..., 1] - y)
        distance[hidden] = np.inf
        if numbers[0] == numbers[1]:
            distance[:, 1:] = np.inf
        nearest = np.unravel_index(int(np.argmin(distance)), distance.shape)
        found[numbers] = (int(nearest[0]), int(nearest[1]))
    return found
