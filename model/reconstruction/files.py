"""Files written by test mode: pictures and numbers of each photo, and a summary of all photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lib.files.atomic import atomic_path
from lib.files.csv_files import write_csv
from lib.files.json_files import write_json
from lib.images.contact_sheet import Tile, contact_sheet
from lib.images.display import to_bytes
from model.reconstruction.description import describe, landmark_tables
from model.report.pictures import pictures

if TYPE_CHECKING:
    from model.reconstruction.photo_result import PhotoResult

# Number of photos on the sheet, the first ones of a folder.
SHEET_ROWS = 24
# Files in the same folder as the photos' folders, which must not have these names.
RUN_FILES = ("index.html", "sheet.png", "summary.csv", "summary.json", "failed.txt")
COLUMNS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "five_point_residual_px_max", "seconds")


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


def write(folder: Path, result: "PhotoResult") -> None:
    """Writes the pictures and numbers of one photo.

    The files are crop.png (the aligned photo with its mask as alpha), coarse.png and fine.png (renderings with a
    transparent background), overlay.png, landmarks.png, landmarks.txt, landmarks_now.txt, coefficients.json and
    metrics.json.

    Args:
      folder: created if missing.
      result: result of the photo.
    """
    mask = result.reconstruction.mask[0].numpy()
    cells = pictures(result)
    images = {
        "crop": np.concatenate([cells["photo"], to_bytes(result.alpha[..., None])], axis=-1),
        "coarse": np.concatenate([cells["coarse"], to_bytes(mask)], axis=-1),
        "fine": result.rendering,
        "overlay": cells["overlay"],
        "landmarks": cells["landmarks"],
    }
    for name, pixels in images.items():
        with atomic_path(folder / f"{name}.png") as path:
            Image.fromarray(pixels).save(path)
    write_json(folder / "coefficients.json", describe(result))
    for name, text in landmark_tables(result).items():
        with atomic_path(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    write_json(folder / "metrics.json", {"photo": result.photo.name, **_rounded(result.metrics)})


def write_summary(
    output: Path, metrics: dict[str, dict[str, float]], failed: dict[str, str], seconds: float, sheet: list[list[Tile]]
) -> None:
    """Writes summary.csv, summary.json, failed.txt and sheet.png, and prints the table.

    Args:
      output: folder of the results.
      metrics: photo -> its numbers.
      failed: photo -> reason.
      seconds: time for the whole folder.
      sheet: rows of pictures; without rows, sheet.png is not written.
    """
    done = [[name, *(round(numbers[column], 4) for column in COLUMNS), ""] for name, numbers in metrics.items()]
    others = [[name, *[""] * len(COLUMNS), reason] for name, reason in failed.items()]
    write_csv(output / "summary.csv", [["photo", *COLUMNS, "failed"], *done, *others])
    summary: dict[str, Any] = {"given": len(metrics) + len(failed), "reconstructed": len(metrics)}
    for key in ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px"):
        summary[key] = _mean([numbers[key] for numbers in metrics.values()])
    residuals = [numbers["five_point_residual_px"] for numbers in metrics.values()]
    summary["five_point_residual_px_max"] = round(max(residuals), 3) if residuals else None
    summary["seconds"] = round(seconds, 1)
    summary["seconds_per_photo"] = _mean([numbers["seconds"] for numbers in metrics.values()])
    summary["failed"] = failed
    write_json(output / "summary.json", summary)
    with atomic_path(output / "failed.txt") as path:
        path.write_text("".join(f"{name}: {reason}\n" for name, reason in failed.items()), encoding="utf-8")
    if sheet:
        with atomic_path(output / "sheet.png") as path:
            contact_sheet(sheet).save(path)
    _print_table(output, metrics, failed)


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in numbers.items()}


def _print_table(output: Path, metrics: dict[str, dict[str, float]], failed: dict[str, str]) -> None:
    width = max([len(name) for name in (*metrics, *failed)], default=5)
    print(f"{'photo':<{width}}  coarse dB  fine dB  covered  points px  seconds")
    for name, numbers in metrics.items():
        print(
            f"{name:<{width}}  {numbers['psnr_coarse']:9.2f}  {numbers['psnr_fine']:7.2f}  {numbers['coverage']:7.1%}  "
            f"{numbers['five_point_residual_px']:9.2f}  {numbers['seconds']:7.2f}"
        )
    for name, reason in failed.items():
        print(f"{name:<{width}}  not reconstructed: {reason}")
    print(f"{len(metrics)} of {len(metrics) + len(failed)} photos reconstructed, results in {output}")
