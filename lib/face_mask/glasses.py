"""Rims of glasses: thin dark closed lines around both eyes, which a mask of 96 px is too coarse to cut out.

A line is a rim if it is dark all along, or if the decoder sees less skin there than beside it: rims of metal are light
in places, and a brow may be darker than the rim below it.
"""

import cv2
import numpy as np

from lib.face_mesh.groups import LEFT_EYE, RIGHT_EYE

# Rays around an eye; a rim must cross every one of them. Samples per ray.
RAYS, SAMPLES = 66, 34
# Half axes of a usual lens, in distances between the eyes; the rim may lie at these multiples of them.
LENS = (0.46, 0.37)
NEAREST, FARTHEST = 0.55, 1.40
# Widest dark line that counts as a rim, in distances between the eyes, and how much darker than its sides it must be
# (grey levels in [0, 1]) on average and in each of the sectors. Folds around an eye fade somewhere (to 0.04 to 0.05),
# drawn rims hardly do (0.09 and more).
WIDEST = 0.16
DARKER, LEAST = 0.07, 0.06
SECTORS = 22
# Least darkness of the line below an eye, as a share of that above: a brow and the fold below an eye close a line too,
# but the fold is half as dark (0.5 to 0.7; rims 0.8 to 1.8).
BELOW = 0.75
# How much less skin the decoder sees on the line than beside it: the mean (0.38 and more on rims as wide as a pixel or
# two, 0.15 on a wire, at most 0.09 on faces without), what is some in a sector, and the share of sectors that show some
# (0.68 and more; 0.36). Wires stay: what would be cut out along them is as much eye as glasses.
LESS_SKIN, SOME, AROUND = 0.25, 0.1, 0.6
# Pixels beside the line belong to the rim down to this share of the line's mean.
SHARE = 0.35


def rims(grey: np.ndarray, skin: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels [H, W], bool, of the rims of glasses; none if there are no glasses.

    Args:
      grey: [H, W] float32 in [0, 1].
      skin: [H, W] float32 in [0, 1], share of skin that the decoder sees.
      points: [468, 2] the face mesh's points, pixels (pixel edges).
    """
    eyes = [points[list(eye)].mean(0) for eye in (LEFT_EYE, RIGHT_EYE)]
    across = eyes[1] - eyes[0]
    distance = float(np.linalg.norm(across))
    side = max(3, round(WIDEST * distance) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    darker, covered = (cv2.morphologyEx(picture, cv2.MORPH_BLACKHAT, kernel) for picture in (grey, skin))
    strength = darker + covered
    lines = [_closed_line(strength, eye, across) for eye in eyes]
    found = np.zeros(grey.shape, np.uint8)
    if not all(_is_dark(darker, line) for line in lines) and not all(_is_seen(covered, line) for line in lines):
        return found > 0
    for line in lines:
        level = SHARE * float(_at(strength, line).mean())
        drawn = np.zeros(grey.shape, np.uint8)
        corners = np.rint((line - 0.5) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(drawn, [corners], True, 1, max(3, side // 2), cv2.LINE_8, 4)
        found |= drawn & (strength > level)
    return found > 0


def _closed_line(strength: np.ndarray, eye: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The strongest smooth closed line [RAYS, 2] around an eye, pixels: dynamic programming over distances per ray."""
    angle = np.arange(RAYS) * 2 * np.pi / RAYS
    down = np.array([-across[1], across[0]])
    directions = np.cos(angle)[:, None] * LENS[0] * across + np.sin(angle)[:, None] * LENS[1] * down
    steps = np.linspace(NEAREST, FARTHEST, SAMPLES)
    places = eye + directions[:, None] * steps[:, None]
    values = _at(strength, places)
    # Twice around, so that the second round starts where it ends.
    best, came = values[0], np.zeros((2 * RAYS, SAMPLES), int)
    for step in range(1, 2 * RAYS):
        padded = np.pad(best, 1, constant_values=-np.inf)
        choices = np.stack([padded[:-2], padded[1:-1], padded[2:]])
        came[step] = choices.argmax(0) + np.arange(SAMPLES) - 1
        best = choices.max(0) + values[step % RAYS]
    line, place = np.zeros((RAYS, 2)), int(best.argmax())
    for step in range(2 * RAYS - 1, RAYS - 1, -1):
        line[step - RAYS] = places[step - RAYS, place]
        place = came[step, place]
    return line


def _is_seen(covered: np.ndarray, line: np.ndarray) -> bool:
    values = _at(covered, line)
    around = (values.reshape(SECTORS, -1).max(1) > SOME).mean()
    return bool(values.mean() > LESS_SKIN and around > AROUND)


def _is_dark(darker: np.ndarray, line: np.ndarray) -> bool:
    values = _at(darker, line)
    # Rays begin at one side of the eye and go round below it.
    below, above = (half[RAYS // 20 : -(RAYS // 20)].mean() for half in np.split(values, 2))
    closed = values.reshape(SECTORS, -1).max(1).min() > LEAST
    return bool(closed and values.mean() > DARKER and below > BELOW * above)


def _at(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of an image [H, W] at pixels [..., 2], linearly interpolated."""
    grid = np.atleast_3d(places - 0.5).astype(np.float32).reshape(-1, 1, 2)
    return cv2.remap(image, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(places.shape[:-1])
