"""Groups and mirror images of MediaPipe's 468 face mesh points.

Left and right refer to the image: the points of LEFT_EYE are on the subject's right eye.
"""

import numpy as np

POINTS = 468

# Contour of the face, clockwise in the image, starting at the middle of the forehead.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# The part of the oval from ear to ear below the eyes.
JAW = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LEFT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS = OUTER_LIPS + INNER_LIPS
EYES = LEFT_EYE + RIGHT_EYE

# Pairs of upper and lower points that meet when the mouth or an eye is closed.
LIP_PAIRS = ((82, 87), (13, 14), (312, 317), (81, 178), (311, 402))
LID_PAIRS = ((160, 144), (159, 145), (158, 153), (387, 373), (386, 374), (385, 380))

# Points on the midline. Of the other points, the first half is on the image's left, in the same order as the second.
MIDLINE = (
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200,
)  # fmt: skip


def mirror_numbers() -> np.ndarray:
    """[468] index of the mirror image of each point."""
    aside = np.setdiff1d(np.arange(POINTS), MIDLINE)
    left, right = np.split(aside, 2)
    mirror = np.arange(POINTS)
    mirror[left], mirror[right] = right, left
    return mirror
