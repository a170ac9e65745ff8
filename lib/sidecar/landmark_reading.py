"""Reading of landmark files: NumPy arrays, text in the layouts that other programs write, and the 300-W's .pts."""

import re
from pathlib import Path

import numpy as np

from lib.face_mesh.groups import POINTS
from lib.files.numpy_files import read_npy

# The five points, the iBUG annotation, MediaPipe's face mesh, and the latter followed by ten iris points.
COUNTS = (5, 68, POINTS, POINTS + 10)
# Byte-order marks of text files, and their encodings.
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# .pts files count pixels from 1 and mean their centres; elsewhere the first pixel spans [0, 1].
PTS_ORIGIN, PTS_HEADER = 0.5, "n_points"
# No photo has so many pixels in a row; products of larger coordinates would overflow.
FARTHEST = 10_000_000
_SEPARATORS = str.maketrans(dict.fromkeys(",;()[]{}", " "))
# A number, whatever stands around it, but no part of a word such as 35mm; two with nothing else between them; and one
# that is named as a coordinate, as in "x: 30.5", "left_x = 30.5", "<x>30.5</x>" or "row 30.5".
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
_PAIR = re.compile(rf"{_NUMBER.pattern}[\s,;|\"']+{_NUMBER.pattern}")
_NAMED = re.compile(rf"(?i:(?<![a-z])(?:[xy]|row|col|column))[\s=:>\"']+{_NUMBER.pattern}")


def read_points(path: Path) -> np.ndarray:
    """Reads points [M, 2] in the file's own order and unit, M of 5, 68 or 468.

    Arrays may be transposed, flat, or have a third column (depth, confidence); ten iris points at the end are dropped.
    Text may have a byte-order mark, header lines, comments after #, a leading column of numbers, commas, semicolons,
    blanks or tabs between its numbers, and brackets around them.

    Raises:
      ValueError: the file holds something else; the message names what was found.
    """
    if path.suffix == ".npy":
        array = read_npy(path)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"an array of type {array.dtype}")
        points = _shaped(array.astype(np.float64))
    else:
        text = landmark_text(path)
        points = _shaped(landmark_numbers(text))
        if PTS_HEADER in text:
            points = points - PTS_ORIGIN
    if not np.isfinite(points).all():
        raise ValueError("NaN or infinity")
    if np.abs(points).max() > FARTHEST:
        raise ValueError(f"a coordinate beyond {FARTHEST:,}")
    return points


def is_other_text(path: Path) -> bool:
    """True if a text beside a photo holds no landmarks at all, such as a caption; false if it cannot be read.

    A text holds landmarks if it is nothing but numbers, two or more, or if it has, besides words, two lines of two or
    more numbers alone, or five points: five pairs of neighbouring numbers, or ten numbers that are named as
    coordinates, stand in lines of numbers alone or in a text that begins with a bracket. Their layout may be one that
    is not read, which is no reason to ignore them.
    """
    if path.suffix != ".txt":
        return False
    try:
        text = landmark_text(path)
    except OSError:
        return False
    lines = _lines(text)
    rows = _rows(lines)
    alone = [len(numbers) for numbers, words in rows if len(numbers) == len(words)]
    if (len(alone) == len(rows) and sum(alone) > 1) or sum(count > 1 for count in alone) > 1:
        return False
    text = "\n".join(lines)
    points = (_NUMBER if text.lstrip().startswith(("{", "[")) else _NAMED).findall(text)
    return max(sum(alone), len(points)) < 2 * COUNTS[0] and len(_PAIR.findall(text)) < COUNTS[0]


def landmark_text(path: Path) -> str:
    """The text of a file of numbers, in UTF-8 or with the byte-order mark of another encoding."""
    content = path.read_bytes()
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors="replace")  # headers may be in any encoding, numbers are ASCII


def _lines(text: str) -> list[str]:
    """The lines of a text, without comments and the blanks around them."""
    return [line.split("#")[0].strip() for line in text.splitlines()]


def _rows(lines: list[str]) -> list[tuple[list[str], list[str]]]:
    """The numbers of each line, and its words, which include them; without empty lines."""
    rows = []
    for line in lines:
        words = line.translate(_SEPARATORS).split()
        if len(words) > 1 and _is_number(words[0].removesuffix(":")):  # of points that are counted, as in "0: 10 20"
            words[0] = words[0].removesuffix(":")
        if words:
            rows.append(([word for word in words if _is_number(word)], words))
    return rows


def landmark_numbers(text: str) -> np.ndarray:
    """Rows of numbers [R, C], or all numbers [N] if the rows differ in length; lines of words alone are left out.

    Lines that begin with a word and a colon, as the "version: 1" of a .pts file, are headers if there are others.

    Raises:
      ValueError: a line holds numbers and words.
    """
    rows: list[list[float]] = []
    lines = _lines(text)
    found = [(numbers, words) for numbers, words in _rows(lines) if numbers]
    points = [(numbers, words) for numbers, words in found if not words[0].endswith(":")]
    for numbers, words in points or [row for row in found if len(row[0]) > 1]:
        if len(numbers) < len(words):
            raise _mixed(" ".join(words))
        rows.append([float(word) for word in numbers])
    if not rows:
        mixed = [line for line in lines for _ in _NUMBER.findall(line)]  # as "x=10 y=20", or "x: 10" and "y: 20"
        if len(mixed) >= 2 * COUNTS[0]:
            raise _mixed(mixed[0])
    if len({len(row) for row in rows}) == 1:
        return np.array(rows)
    return np.array([number for row in rows for number in row])


def _mixed(line: str) -> ValueError:
    return ValueError(f"numbers and words in one line ('{line[:40]}')")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _shaped(array: np.ndarray) -> np.ndarray:
    """Points [M, 2] from an array with one of the accepted shapes."""
    array = array.squeeze()
    if array.ndim == 2 and array.shape[1] in COUNTS and array.shape[0] in (2, 3):
        array = array.T
    if array.ndim == 2 and array.shape[0] in COUNTS and array.shape[1] == 3:
        numbered = any((array[:, 0] == first + np.arange(len(array))).all() for first in (0, 1))
        array = array[:, 1:] if numbered else array[:, :2]
    if array.size not in [2 * count for count in COUNTS] or array.ndim > 2:
        found = " x ".join(map(str, array.shape)) if array.ndim > 1 else str(array.size)
        raise ValueError(f"{found} numbers" if array.size else "something else")
    points = array.reshape(-1, 2)
    return points[:POINTS] if len(points) > POINTS else points
