"""Scores a folder of face masks against hand-drawn outlines: a table of intersection over union.

python -m benchmarks.mask_iou --masks DIR --outlines DIR [--csv FILE]

Masks are PNGs: the alpha channel of RGBA images; otherwise white is face. Outlines have the same stem and are

* `<stem>.png`: a mask where white is face;
* `<stem>.json`: a list of polygons, each a list of [x, y];
* `<stem>.txt`: a line `x y` for each corner, an empty line between polygons.

An outline of a photo that gave no crop, according to the masks' prepared.json (see below), counts as 0. Other files
without a mask are ignored. Masks that came with their photos, as mask files or alpha, were not found by the program;
they are named and do not count.

Polygons are in pixels, origin at the top left, y down; where two of them overlap, there is a hole.

Outlines are in the masks' frame. If the masks are crops of `--mode prepare` (with prepared.json in their parent
folder), outlines may refer to the photos instead and are transformed into each crop: always for polygons with the
photo's stem, and for PNGs that have the photo's size.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import UserError
from lib.face_image.photo_io import result_names
from lib.files.csv_files import write_csv
from model.preparation.photo_folder import flat_names

OUTLINES = (".png", ".json", ".txt")
SUBPIXEL = 4  # fractional bits of the polygons' corners


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--outlines", type=Path, required=True)
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    return parser.parse_args(argv)


def read_mask(path: Path) -> np.ndarray:
    """Reads a mask, bool [H, W], from a PNG: alpha of RGBA, otherwise grey, thresholded at one half."""
    with Image.open(path) as image:
        return np.asarray(image.getchannel("A") if image.mode == "RGBA" else image.convert("L")) > 127


def read_polygons(path: Path) -> list[np.ndarray]:
    """Reads polygons [K, 2] from a .json or .txt outline."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            polygons = [np.array(polygon, np.float64) for polygon in json.loads(text)]
        else:
            blocks = [block for block in text.split("\n\n") if block.strip()]
            polygons = [np.array([line.split() for line in b.strip().splitlines()], np.float64) for b in blocks]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: must hold polygons of x, y pairs, got: {' '.join(str(error).split())}") from error
    if not polygons or not all(map(is_polygon, polygons)):
        raise UserError(f"{path}: must hold polygons of three corners or more, x and y each")
    return polygons


def is_polygon(corners: np.ndarray) -> bool:
    """Whether an array holds three corners or more, finite x and y each."""
    return corners.ndim == 2 and corners.shape[1] == 2 and len(corners) >= 3 and bool(np.isfinite(corners).all())


def outline_mask(path: Path, size: tuple[int, int], to_crop: np.ndarray | None, photo_size: list | None) -> np.ndarray:
    """Rasterises an outline in the frame of its mask, bool [H, W].

    Args:
      path: the outline.
      size: (height, width) of the mask.
      to_crop: [2, 3] transform from the photo's pixels to the mask's (pixel edges); None if they are the same.
      photo_size: (height, width) of the photo, with `to_crop`.
    """
    transform = np.eye(2, 3) if to_crop is None else np.asarray(to_crop)
    if path.suffix == ".png":
        drawn = read_mask(path)
        if drawn.shape == tuple(size):
            return drawn
        if photo_size is None or drawn.shape != tuple(photo_size):
            raise UserError(
                f"{path}: must have the size of its mask, {size[1]} x {size[0]} px, or of its photo, "
                f"got {drawn.shape[1]} x {drawn.shape[0]}"
            )
        centred = transform.copy()  # OpenCV's origin is the centre of the first pixel
        centred[:, 2] += 0.5 * transform[:, :2].sum(1) - 0.5
        return cv2.warpAffine(drawn.astype(np.float32), centred, size[::-1], flags=cv2.INTER_AREA) > 0.5
    corners = [p @ transform[:, :2].T + transform[:, 2] for p in read_polygons(path)]
    filled = np.zeros(size, np.uint8)
    cv2.fillPoly(filled, [np.rint((c - 0.5) * 2**SUBPIXEL).astype(np.int32) for c in corners], 1, shift=SUBPIXEL)
    return filled > 0


def prepared(masks: Path) -> list[dict]:
    """The records of the prepared.json beside a folder of masks; empty if there is none."""
    manifest = masks.parent / "prepared.json"
    return json.loads(manifest.read_text(encoding="utf-8"))["records"] if manifest.is_file() else []


def given_masks(masks: Path) -> set[str]:
    """File names of the masks that came with their photos."""
    return {crop["file"] for record in prepared(masks) for crop in record["crops"] if crop.get("mask_given")}


def score(masks: Path, outlines: Path) -> dict[str, float]:
    """IoU of each found mask that has an outline, and 0 of each outline of a photo that gave no crop.

    Raises:
      UserError: no found mask has an outline, or an outline does not fit.
    """
    records, given = prepared(masks), given_masks(masks)
    crops = [crop for record in records for crop in record["crops"]]
    frames = {crop["file"]: (crop["photo_to_crop"], crop["photo_size"]) for crop in crops}
    scores = {}
    for path in sorted(masks.glob("*.png")):
        if path.name not in given and (outline := outline_of(path.stem, outlines)):
            mask = read_mask(path)
            truth = outline_mask(outline, mask.shape, *frames.get(path.name, (None, None)))
            scores[path.name] = float((mask & truth).sum() / max((mask | truth).sum(), 1))
    if not scores:
        came = f" ({len(given)} masks came with their photos and do not count)" if given else ""
        raise UserError(f"{outlines}: must hold outlines named like the masks in {masks}, got none{came}")
    missed = [outline_of(stem, outlines) for stem in without_crop(records)]
    return scores | {outline.name: 0.0 for outline in missed if outline}


def outline_of(stem: str, outlines: Path) -> Path | None:
    """The outline of a stem; None if there is none."""
    found = (outlines / f"{stem}{suffix}" for suffix in OUTLINES)
    return next((candidate for candidate in found if candidate.is_file()), None)


def without_crop(records: list[dict]) -> list[str]:
    """Stems that the masks of photos without any crop would have, given the records of prepared.json."""
    gave = {Path(record["photo"]): bool(record["crops"]) for record in records}
    stems = flat_names(result_names(gave, Path()))
    return [stems[photo] for photo in sorted(gave) if not gave[photo]]


def main(argv=None) -> int:
    arguments = parse_arguments(argv)
    try:
        scores = score(arguments.masks, arguments.outlines)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    width = max(map(len, scores))
    for name, value in scores.items():
        print(f"{name:<{width}}  {value:.3f}")
    print(f"{'mean':<{width}}  {np.mean(list(scores.values())):.3f}  lowest {min(scores.values()):.3f}")
    for name in sorted(given_masks(arguments.masks)):
        print(f"{name:<{width}}  left out: the mask came with its photo")
    if arguments.csv:
        write_csv(arguments.csv, [["mask", "iou"], *scores.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
