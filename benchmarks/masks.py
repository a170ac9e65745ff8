"""Scores the masks of test mode on photos whose faces are outlined by hand.

python -m benchmarks.masks --input DIR --output FILE.json [--overlays DIR] [section.key=value ...]

DIR holds photos, and an outline `<stem>.outline.json` for each: {"face": [polygon, ...], "occluders": [polygon, ...]}.
A polygon is a list of [x, y] in pixels of the photo (origin at the top left, y down). The face reaches from chin to
hairline and from ear to ear, without ears and neck, including what is covered; occluders are whatever covers it: hair,
glasses, caps, hands. The file holds these measures, and each photo's numbers under "photos":

* iou: intersection over union of the mask and of the face without occluders; iou_lowest: of the worst photo;
* leak: share of the occluders' pixels inside the face that the mask takes as skin, over all photos;
* lost: share of the uncovered face that the mask leaves out;
* seconds: of the first estimate: frozen networks, the 468 points, the fit to them and the first mask (without points,
  as with fit.landmarks=false, no fit, and the final mask, which is found later, is not timed);
* left_out: photos that cannot be measured, with the reason.

Landmark and mask files beside the photos are ignored, and photos with an alpha channel of their own are left out:
these masks are drawn, not found.

Overlays show the mask in green where it is right, red where it is not skin, blue where it misses skin.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.mask_iou import is_polygon
from lib.errors import UserError
from lib.face_image.photo_io import photo_paths
from lib.files.atomic import atomic_path

SUBPIXEL = 4  # fractional bits of the polygons' corners
KINDS = ("face", "occluders")
FOUND = "prepare.beside=false"  # ignores landmark and mask files beside photos
LARGE = 3  # factor by which overlays are enlarged


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="folder of photos and outlines")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the numbers")
    parser.add_argument("--overlays", type=Path, help="folder for a picture of every mask")
    parser.add_argument("overrides", nargs="*", help="options of the configuration, section.key=value")
    return parser.parse_args(argv)


def outline_path(photo: Path) -> Path:
    """The outline file of a photo."""
    return photo.with_name(f"{photo.stem}.outline.json")


def drawn(polygons: list, to_crop: np.ndarray, size: int) -> np.ndarray:
    """Pixels of the crop inside any of the polygons, bool [size, size].

    Args:
      polygons: lists of [x, y], pixels of the photo.
      to_crop: [2, 3] transform to the crop's pixels.
      size: side of the crop.
    """
    inside = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        corners = np.asarray(polygon, np.float64) @ to_crop[:, :2].T + to_crop[:, 2]
        cv2.fillPoly(inside, [np.rint((corners - 0.5) * 2**SUBPIXEL).astype(np.int32)], 1, shift=SUBPIXEL)
    return inside > 0


def compare(mask: np.ndarray, face: np.ndarray, occluders: np.ndarray) -> dict[str, float]:
    """Measures of one mask, all bool [H, W]; pixel counts are for the shares over all photos."""
    skin, covered = face & ~occluders, face & occluders
    return {
        "iou": float((mask & skin).sum() / max((mask | skin).sum(), 1)),
        "lost": float((skin & ~mask).sum() / max(skin.sum(), 1)),
        "leak": float((covered & mask).sum() / max(covered.sum(), 1)),
        "covered_pixels": int(covered.sum()),
        "leaked_pixels": int((covered & mask).sum()),
    }


def summarise(photos: dict[str, dict]) -> dict:
    """Measures over all photos."""
    rows = list(photos.values())
    return {
        "iou": float(np.mean([row["iou"] for row in rows])),
        "iou_lowest": float(np.min([row["iou"] for row in rows])),
        "leak": sum(row["leaked_pixels"] for row in rows) / max(sum(row["covered_pixels"] for row in rows), 1),
        "lost": float(np.mean([row["lost"] for row in rows])),
        "seconds": float(np.median([row["seconds"] for row in rows])),
    }


def overlay(crop: np.ndarray, mask: np.ndarray, face: np.ndarray, occluders: np.ndarray) -> np.ndarray:
    """The crop beside its coloured copy, uint8."""
    skin = face & ~occluders
    large = cv2.resize(crop, None, fx=LARGE, fy=LARGE, interpolation=cv2.INTER_CUBIC)
    tint = np.zeros_like(crop)
    tint[mask & skin], tint[mask & ~skin], tint[skin & ~mask] = (0, 200, 0), (255, 0, 0), (0, 60, 255)
    shown = crop.astype(np.float32)
    shown = np.where((mask | skin)[..., None], 0.6 * shown + 0.4 * tint, shown).astype(np.uint8)
    return np.hstack([large, cv2.resize(shown, None, fx=LARGE, fy=LARGE, interpolation=cv2.INTER_NEAREST)])


def read_outline(photo: Path) -> dict[str, list]:
    """The polygons of a photo, by kind.

    Raises:
      UserError: the file is missing or holds something else.
    """
    path = outline_path(photo)
    if not path.is_file():
        raise UserError(f"{path}: must hold the outline of {photo.name}, got no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        polygons = {kind: [np.asarray(polygon, np.float64) for polygon in content[kind]] for kind in KINDS}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: must hold the polygons {' and '.join(KINDS)}, got something else ({error})") from None
    for kind in KINDS:
        if wrong := [list(corners.shape) for corners in polygons[kind] if not is_polygon(corners)]:
            raise UserError(
                f"{path}: polygons of '{kind}' must have three corners or more, each [x, y] and finite, got an array "
                f"of shape {wrong[0]}"
            )
    return polygons


def measure(folder: Path, overlays: Path | None, overrides: list[str]) -> dict:
    """Finds and scores the masks of a folder's photos.

    Raises:
      UserError: a photo has no outline, or none can be measured.
    """
    outlines = {path: read_outline(path) for path in photo_paths(folder)}  # faults are told before the work
    from model import FaceReconstructor
    from model.photos.errors import failure_reason, photo_barrier

    reconstructor = FaceReconstructor.load(None, [*overrides, FOUND])
    photos: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    for path, polygons in outlines.items():
        name = path.relative_to(folder).as_posix()
        with photo_barrier(lambda error, path=path, name=name: left_out.update({name: failure_reason(path, error)})):
            aligned, _ = reconstructor.reader.read(path)
            if aligned.alpha is not None:
                raise UserError("must have no alpha channel, because that would be the mask, got one")
            if not photos:
                reconstructor.initial_estimate(aligned)  # compiles
            started = time.perf_counter()
            draft = reconstructor.initial_estimate(aligned)
            seconds = time.perf_counter() - started
            (draft,) = reconstructor.fit([draft], reconstructor.fitter)
            to_crop, size = aligned.alignment.photo_to_crop, aligned.alignment.crop.shape[0]
            face, occluders = (drawn(polygons[kind], to_crop, size) for kind in KINDS)
            mask = draft.alpha >= 0.5
            photos[name] = {**compare(mask, face, occluders), "seconds": seconds}
            if overlays is not None:
                picture = (overlays / name).with_suffix(".png")
                picture.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(overlay(aligned.alignment.crop[..., :3], mask, face, occluders)).save(picture)
    if not photos:
        raise UserError(f"{folder}: at least one photo must show a face, got none of {len(outlines)}: {left_out}")
    return {**summarise(photos), "left_out": left_out, "photos": photos}


def main(argv=None) -> int:
    arguments = parse_arguments(argv)
    try:
        numbers = measure(arguments.input, arguments.overlays, arguments.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with atomic_path(arguments.output) as path:
        path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    for name, row in numbers["photos"].items():
        print(f"{name:30}  iou {row['iou']:.3f}  leak {row['leak']:.2f}  lost {row['lost']:.3f}")
    for name, reason in numbers["left_out"].items():
        print(f"{name:30}  left out: {reason}")
    print({name: round(value, 3) for name, value in numbers.items() if name not in ("photos", "left_out")})
    return 0


if __name__ == "__main__":
    sys.exit(main())
