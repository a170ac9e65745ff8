"""How often long hair is found in synthetic portraits, by the style of their hair.

python -m benchmarks.long_hair [--count 100] [--seed 77] [--output FILE.json] [section.key=value ...]

Renders portraits, which show neck and shoulders, and reconstructs them as test mode does. Hair counts as found if it
hangs beyond the scalp, over ears or neck. It truly does so in the styles "long" and "fringe", and in "medium" as far as
the ears; "short" and "swept" leave the ears free, and a "beanie" hides the hair.
"""

import argparse
import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.files.json_files import write_json
from lib.synthetic.photos import SyntheticFaces
from lib.synthetic.rendering.photo_renderer import PhotoRenderer
from model.reconstruction.face_reconstructor import FaceReconstructor

# Pixels around the crop on each side.
MARGIN = 90


class Portraits(SyntheticFaces):
    """Synthetic photos that show more than the crop; their landmarks and coefficients are still those of the crop."""

    def __init__(self, face_model: FaceModel, seed: int):
        super().__init__(face_model, seed=seed)
        side = self.size + 2 * MARGIN
        wide = dataclasses.replace(self.camera, image_size=(side, side), focal_ratio=self.camera.focal_length / side)
        self._renderer = PhotoRenderer(face_model, self.face, wide, self.settings)


def measure(reconstructor: FaceReconstructor, count: int, seed: int) -> dict[str, dict[str, int]]:
    """Portraits of each style, and in how many of them long hair was found; those without a found face are left out."""
    if reconstructor.extension is None:
        raise UserError("the exported area must have a scalp, such as export.area=head, got none")
    portraits = Portraits(reconstructor.pipeline.face_model, seed)
    beyond = reconstructor.extension.morphable.face_model.regions["scalp"] == 0
    found: dict[str, list[bool]] = defaultdict(list)
    for index in tqdm(range(count), unit="portrait"):
        try:
            face = reconstructor(portraits.sample(index).image)
        except UserError as error:
            tqdm.write(f"portrait {index}: {error}")
            continue
        found[portraits.moment(index).hair_style].append(bool(np.any(face.lift[beyond])))
    return {style: {"portraits": len(rows), "found": sum(rows)} for style, rows in sorted(found.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--output", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    args = parser.parse_args()
    numbers = measure(FaceReconstructor.load(overrides=args.overrides), args.count, args.seed)
    for style, row in numbers.items():
        print(f"{style:10} {row['found']:3} of {row['portraits']:3}")
    if args.output:
        write_json(args.output, numbers)


if __name__ == "__main__":
    main()
