"""Recognition of landmarks in another order or frame than this program's, by the orientation of the face.

In an image with y down, (right eye - left eye) x (mouth - eyes) is positive for every face that is seen from the front,
however it is turned. Exchanged sides, y up and exchanged coordinates all make it negative. The direction from the eyes
to the mouth, which is down on almost every photo, distinguishes the three. Two of them together leave the orientation
right; only the photo tells that something is wrong (`other_orders`).
"""

import itertools

import numpy as np

from lib.face_image.alignment import MIRRORED_POINTS, five_points
from lib.face_mesh.groups import POINTS, mirror_numbers

# Smallest absolute value of the cross product, relative to the squared distance of eyes and mouth: in profile, the eyes
# coincide and errors of the points decide about its sign.
CLEAR = 0.15
# Coordinates of a face of up to this extent are shares of the photo's size instead of pixels.
LARGEST_SHARE = 1.5
# The iBUG landmarks' mirror images: jaw, brows, nose, eyes, outer and inner lips.
MIRRORED_68 = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60,
    67, 66, 65,
)  # fmt: skip


def in_pixels(points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Converts points [M, 2] given as shares of the photo's (height, width) to pixels; leaves pixels unchanged.

    Returns:
      The points, and a remark for the user, empty if nothing was changed.
    """
    if not _are_shares(points):
        return points, ""
    return points * size[::-1], "landmarks were shares of the photo's size; converted them to pixels"


def in_order(points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Brings points [M, 2] of a photo with (height, width) `size` into this program's order and frame.

    Shares of the photo's size remain shares; `in_pixels` comes afterwards, because it must know rows from columns.

    Returns:
      The points, and a remark for the user, empty if nothing was changed.

    Raises:
      ValueError: the face is inside out in a way that no known order explains.
    """
    if _orientation(points) > -CLEAR:
        return points, ""
    down_x, down_y = _down(points)
    if down_y > abs(down_x):
        return points[_mirror(len(points))], "landmarks had left and right exchanged; exchanged them back"
    if -down_y > abs(down_x):
        height = 1 if _are_shares(points) else size[0]
        return np.stack([points[:, 0], height - points[:, 1]], axis=1), "landmarks had y pointing up; flipped it"
    if down_x > abs(down_y):
        return points[:, ::-1], "landmarks were (row, column); read them as (y, x)"
    raise ValueError("a face that is inside out")


def other_orders(points: np.ndarray, size: tuple[int, int]) -> list[tuple[np.ndarray, str]]:
    """All orders and frames that points [M, 2] of a photo with (height, width) `size` may be in, except as they are.

    Those are left out that show the face inside out, and the mirror image, which no program writes: it shows every face
    upright in another place, where another person may be. Shares of the photo's size remain shares.

    Returns:
      The points in this program's order and frame for each, and the remark for the user.
    """
    height, width = (1, 1) if _are_shares(points) else size
    orders = []
    for swapped, up, left, exchanged in itertools.product((False, True), repeat=4):
        if left and not (swapped or up):
            continue
        moved = points[:, ::-1] if swapped else points
        moved = np.where((left, up), (width, height) - moved, moved)
        moved = moved[_mirror(len(points))] if exchanged else moved
        parts = ("(row, column)" * swapped, "y up" * up, "x to the left" * left, "left and right exchanged" * exchanged)
        if any(parts) and _orientation(moved) > -CLEAR:
            orders.append((moved, f"by the photo, landmarks had {', '.join(filter(None, parts))}; put them right"))
    return orders


def _are_shares(points: np.ndarray) -> bool:
    return bool(np.abs(points).max() <= LARGEST_SHARE)


def _orientation(points: np.ndarray) -> float:
    """Cross product of the directions across and down the face, relative to the latter's squared length."""
    five = five_points(points)
    across, down = five[1] - five[0], _down(points)
    return float((across[0] * down[1] - across[1] * down[0]) / max(down @ down, 1e-9))


def _down(points: np.ndarray) -> np.ndarray:
    """[2] vector from the middle of the eyes to the middle of the mouth."""
    five = five_points(points)
    return five[3:].mean(0) - five[:2].mean(0)


def _mirror(count: int) -> list[int]:
    """The number of each point's mirror image."""
    return list({5: MIRRORED_POINTS, 68: MIRRORED_68}[count] if count != POINTS else mirror_numbers())
