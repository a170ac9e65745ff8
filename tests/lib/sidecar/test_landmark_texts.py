"""What a text beside a photo is taken for: landmarks, landmarks in a layout that is not read, or a caption."""

import json

import numpy as np
import pytest
from PIL import Image

from lib.face_image.quality import Unusable
from lib.sidecar.sidecar_files import given_landmarks

FIVE = np.array([[30.0, 40], [60, 41], [45, 55], [34, 70], [56, 71]])
LINES = "".join(f"{x:g} {y:g}\n" for x, y in FIVE)


def each(form, points=FIVE, between="\n"):
    """A text with an entry for each point, of its number n and its coordinates x and y."""
    return between.join(form.format(n=n, x=x, y=y) for n, (x, y) in enumerate(points)) + "\n"


READ = {
    "a byte-order mark": LINES.encode("utf-8-sig"),
    "UTF-16": LINES.encode("utf-16"),
    "UTF-16, its other order": b"\xfe\xff" + LINES.encode("utf-16-be"),
    "Windows' line ends": LINES.replace("\n", "\r\n"),
    "tabs": LINES.replace(" ", "\t"),
    "semicolons": LINES.replace(" ", ";"),
    "commas and blanks": LINES.replace(" ", ", "),
    "a header": "x,y\n" + LINES.replace(" ", ","),
    "comments in another encoding": "# points of the\nBildträger\n\n".encode("latin-1") + LINES.encode(),
    "comments behind": LINES.replace("\n", "  # 7 px off\n"),
    "counted from 0": each("{n} {x} {y}"),
    "counted from 1": "".join(f"{n} {x} {y}\n" for n, (x, y) in enumerate(FIVE, 1)),
    "counted with colons": each("{n}: {x} {y}"),
    "a size in front": f"size: 640 480\n{LINES}",
    "a count in front": f"5:\n{LINES}",
    "a number over each": each("{n}:\n{x} {y}"),
    "confidences": each("{x} {y} 0.99"),
    "brackets": str(FIVE.tolist()),
    "all in one line": " ".join(map(str, FIVE.ravel())),
    "a number in each line": "\n".join(map(str, FIVE.ravel())),
    "in exponents": each("{x:e} {y:e}"),
    "transposed": "\n".join(" ".join(map(str, column)) for column in FIVE.T),
}
# The text, and what the refusal quotes.
MIXED = {
    "after a word": (each("point {x} {y}"), "point 30.0 40.0"),
    "after two words": (each("left eye {x} {y}"), "left eye 30.0 40.0"),
    "after two words, in one line": (each("left eye {x} {y}", between=", "), "left eye 30.0 40.0 left eye 60.0 "),
    "before a word": (each("{x}, {y} eye"), "30.0 40.0 eye"),
    "in one line": (each("point {x} {y}", between=", "), "point 30.0 40.0 point 60.0 41.0"),
    "a name in front of all": ("points " + " ".join(LINES.split()), "points 30 40 60 41"),
    "with colons": (each("eye{n}: {x} {y}"), "eye0: 30.0 40.0"),
    "in exponents": (each("eye {x:e} {y:e}"), "eye 3.000000e"),
    "a table": (each("| eye | {x} | {y} |"), "| eye | 30.0 |"),
    "quoted": (each('"eye","{x}","{y}"'), '"eye","30.0","40.0"'),
    "JSON": (json.dumps({f"point {n}": point for n, point in enumerate(FIVE.tolist())}), '"point 0": 30.0 40.0'),
    "JSON, named": (json.dumps([{"x": x, "y": y} for x, y in FIVE.tolist()]), '"x": 30.0 "y": 40.0'),
    "JSON over lines": (json.dumps([{"left": x, "top": y} for x, y in FIVE.tolist()], indent=1), '"left": 30.0'),
    "XML": (each('<part name="{n}" x="{x}" y="{y}"/>'), '<part name="0" x="30.0"'),
    "XML over lines": (each("<x>{x}</x>\n<y>{y}</y>"), "<x>30.0</x>"),
    "named": (each("x={x} y={y}"), "x=30.0 y=40.0"),
    "named by words": (each("left_x {x} left_y {y}"), "left_x 30.0 left_y 40.0"),
    "named, in one line": (each("x={x} y={y}", between=" "), "x=30.0 y=40.0 x=60.0 y=41.0"),
    "named with colons, in one line": (each("x: {x}, y: {y}", between=", "), "x: 30.0 y: 40.0 x: 60.0 y: 41.0"),
    "named as in YAML": (each("x: {x}\ny: {y}"), "x: 30.0"),
    "named as in deep YAML": (each("eye{n}:\n  x: {x}\n  y: {y}"), "x: 30.0"),
    "named over lines": (each("x={x}\ny={y}"), "x=30.0"),
    "named by blanks over lines": (each("x {x}\ny {y}"), "x 30.0"),
    "rows and columns": (each("row={y} col={x}"), "row=40.0 col=30.0"),
    "behind comments": ("# 68 points\n" + each("x={x} y={y}"), "x=30.0 y=40.0"),
    "five dates, told apart by nothing": ("Rome, May 5, 2001\n" * 5, "Rome May 5 2001"),
    "little but numbers": ("born 2021 04 05, 2021 05 06, 2021 07 08, 2021 09 10, 3 4", "born 2021 04 05"),
}
# The text, and what the refusal says that it got.
FEW = {
    "two points": ("30 40\n60 41\n", "2 x 2 numbers"),
    "two points under a header": ("x y\n30 40\n60 41\n", "2 x 2 numbers"),
    "numbers": ("30\n40\n60\n", "3 numbers"),
    "a point": ("30 40", "2 numbers"),
    "NaN": ("1 2 3 4 5 6 7 8 9 nan", "NaN or infinity"),
    "nine": ("1 2 3 4 5 6 7 8 9", "9 numbers"),
    "far beyond": ("1 2 3 4 5 6 7 8 9 1e200", "a coordinate beyond 10,000,000"),
}
CAPTIONS = {
    "nothing": "",
    "a sentence": "a photo of a woman, smiling, 35mm",
    "words": "five points",
    "a year": "1985",
    "a month": "a caption\n2021 07\n",
    "a prompt": "two people, 2 of 3, f 1.8\nSteps: 20, seed 7 8\n",
    "many numbers": "a photo of a woman, 35 years, 3 of 10, ISO 400, 1 125 s, 50 mm, 2021 04 05, 12 30",
    "a date in each line": "On 5 May 2001 in Rome\n" * 5,
    "a day in each line": "Monday 4 July 1988 at 20:15\n" * 5,
    "a date of hyphens in each line": "Rome, 2001-05-05\n" * 5,
    "scores of tags": "".join(f"tag{n}: 0.{n}\n" for n in range(12)),
    "sizes": "".join(f"a print of {n}x{n + 3} or 9 x 12 cm\n" for n in range(8)),
    "a comment": "# 1 2\n",
    "comments": each("# p{n} {x} {y}"),
    "commented points": each("#{x} {y}"),
    "a point after a word": "left 30 40\n",
    "two points after words": "eye: 30 40\neye: 60 41\n",
    "a list of points without points": "version: 1\nn_points: 5\n{\n}",
}


@pytest.fixture
def landmarks(tmp_path):
    """The landmarks of a photo beside a text."""

    def beside(text):
        Image.new("RGB", (100, 120)).save(tmp_path / "a.jpg")
        (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return given_landmarks(tmp_path / "a.jpg", (120, 100))

    return beside


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        *(pytest.param(text, FIVE, id=f"read: {name}") for name, text in READ.items()),
        *(
            pytest.param(text, f"got numbers and words in one line ('{line}", id=f"refused: {name}")
            for name, (text, line) in MIXED.items()
        ),
        *(pytest.param(text, f"got {found}", id=f"refused: {name}") for name, (text, found) in FEW.items()),
        *(pytest.param(text, None, id=f"ignored: {name}") for name, text in CAPTIONS.items()),
    ],
)
def test_a_text_is_read_or_refused_or_ignored(landmarks, text, wanted):
    if isinstance(wanted, str):
        with pytest.raises(Unusable) as refused:
            landmarks(text)
        assert "a.txt: must hold 5, 68 or 468 points, a line 'x y' each, " in str(refused.value)
        assert wanted in str(refused.value)
        return
    given = landmarks(text)
    assert (given is None) == (wanted is None)
    if given is not None:
        np.testing.assert_allclose(given.points, wanted)
