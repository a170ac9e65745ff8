"""Renders a face from three sides and under mirrored light: python examples/new_view.py photo.jpg views.png

Uses the texture network in checkpoints/ (`make demo` trains one), or the shipped one while there is none.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from model import FaceReconstructor

# Spherical harmonics that change sign when left and right are swapped: x, xy and xz.
ODD_IN_X = [3, 4, 7]


def main(photo: str, output: str, size: int = 448) -> None:
    reconstructor = FaceReconstructor.load()
    face = reconstructor(photo)
    views = [reconstructor.render(face, yaw=np.radians(degrees), size=size) for degrees in (-40, 0, 40)]
    mirrored = face.light.copy()
    mirrored[:, ODD_IN_X] *= -1
    views.append(reconstructor.render(face, light=mirrored, size=size))
    Image.fromarray(np.hstack(views)).save(output)
    print(f"{output}: three views, and one under mirrored light")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/new_view.py photo.jpg views.png")
    main(*sys.argv[1:])
