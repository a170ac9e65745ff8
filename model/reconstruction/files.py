"""Files written by test mode for each photo: pictures and numbers."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.files.atomic import atomic_path
from lib.files.json_files import write_json
from lib.images.contact_sheet import Tile
from lib.images.display import to_bytes
from lib.images.png import png_bytes
from model.reconstruction.description import describe, landmark_tables
from model.reconstruction.export import FILES
from model.report.pictures import crop_pictures, pictures, rendering_alpha

if TYPE_CHECKING:
    from model.reconstruction.photo_result import PhotoResult


# Of a result, with meshes in all formats.
_ALL_FILES = (
    "crop.png", "coarse.png", "fine.png", "overlay.png", "landmarks.png", "landmarks.txt", "landmarks_now.txt",
    "coefficients.json", "metrics.json", *(name for names in FILES.values() for name in names),
)  # fmt: skip


def sheet_row(result: "PhotoResult") -> list[Tile]:
    """Pictures of a result, captioned with titles and numbers: one row of sheet.png."""
    metrics, tiles = result.metrics, pictures(result)
    captions = {title: title for title in tiles} | {
        "photo": result.photo.name,
        "coarse": f"coarse  {metrics['psnr_coarse']:.1f} dB",
        "fine": f"fine  {metrics['psnr_fine']:.1f} dB",
        "landmarks": f"landmarks, points {metrics['five_point_residual_px']:.2f} px",
    }
    return [(captions[title], picture) for title, picture in tiles.items()]


def remove_other_faces(folder: Path, faces: int | None) -> None:
    """Removes results of an earlier run that found more faces in a photo, or was told to find others.

    Args:
      folder: the photo's; may be missing.
      faces: number of its folders face_0, face_1, ... that stay; None if the one result is in `folder` itself.
    """
    kept = {f"face_{number}" for number in range(faces or 0)}
    others = [path for path in folder.glob("face_[0-9]*") if path.is_dir() and path.name not in kept]
    for other in others if faces is None else [folder, *others]:
        for name in _ALL_FILES:
            (other / name).unlink(missing_ok=True)
    for other in others:
        if not any(other.iterdir()):  # nobody else's files are in it
            other.rmdir()


def remove_results(folder: Path) -> None:
    """Removes the results of an earlier run from the folder of a photo, or of a face, that has failed now."""
    with contextlib.suppress(OSError):  # perhaps the reason of the failure
        remove_other_faces(folder, 0)


def write(folder: Path, result: "PhotoResult") -> None:
    """Writes the pictures and numbers of one photo.

    The files are crop.png (the aligned photo with its mask as alpha), coarse.png and fine.png (renderings with a
    transparent background), overlay.png, landmarks.png, landmarks.txt, landmarks_now.txt, coefficients.json and
    metrics.json.

    Args:
      folder: created if missing.
      result: result of the photo.
    """
    mask = rendering_alpha(result)
    cells = crop_pictures(result)
    images = {
        "crop": np.concatenate([cells["photo"], to_bytes(result.alpha[..., None])], axis=-1),
        "coarse": np.concatenate([cells["coarse"], to_bytes(mask)], axis=-1),
        "fine": result.rendering,
        "overlay": cells["overlay"],
        "landmarks": cells["landmarks"],
    }
    for name, pixels in images.items():
        with atomic_path(folder / f"{name}.png") as path:
            path.write_bytes(png_bytes(pixels))
    write_json(folder / "coefficients.json", describe(result))
    for name, text in landmark_tables(result).items():
        with atomic_path(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    write_json(folder / "metrics.json", {"photo": result.photo.name, **_rounded(result.metrics)})


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in numbers.items()}
