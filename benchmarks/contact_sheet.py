"""Renders a contact sheet of random synthetic faces, one photo per person: docs/faces.jpg.

python -m benchmarks.contact_sheet
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from lib.files.atomic import atomic_path
from lib.images.contact_sheet import contact_sheet
from lib.synthetic.builtin.face_generator import load_face_model
from lib.synthetic.photos import PhotoSettings, SyntheticFaces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--size", type=int, default=160, help="side of a face in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/faces.jpg"))
    args = parser.parse_args()
    faces = SyntheticFaces(load_face_model(), args.size, args.seed, PhotoSettings(photos_per_identity=1))
    tiles = [("", faces.sample(i).image) for i in tqdm(range(args.count), "render", unit="face")]
    rows = [tiles[first : first + args.columns] for first in range(0, args.count, args.columns)]
    with atomic_path(args.output) as path:
        contact_sheet(rows).save(path, "JPEG", quality=88)
    print(args.output)


if __name__ == "__main__":
    main()
