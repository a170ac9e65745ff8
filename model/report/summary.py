"""Tables of the metrics and failures of a folder of photos.

This module does not import TensorFlow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lib.files.atomic import atomic_path
from lib.files.csv_files import write_csv
from lib.files.json_files import write_json
from lib.images.contact_sheet import Tile, contact_sheet
from lib.messages import counted

COLUMNS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "five_point_residual_px_max", "seconds")


def write_summary(
    output: Path, metrics: dict[str, dict[str, float]], failed: dict[str, str], seconds: float, sheet: list[list[Tile]]
) -> None:
    """Writes summary.csv, summary.json, failed.txt and sheet.png.

    Args:
      output: folder of the results.
      metrics: photo -> its numbers.
      failed: photo -> reason.
      seconds: time for the whole folder.
      sheet: rows of pictures; without rows, there is no sheet.png.
    """
    done = [[name, *(round(numbers[column], 4) for column in COLUMNS), ""] for name, numbers in metrics.items()]
    others = [[name, *[""] * len(COLUMNS), reason] for name, reason in failed.items()]
    write_csv(output / "summary.csv", [["photo", *COLUMNS, "failed"], *done, *others])
    means = {key: _mean([numbers[key] for numbers in metrics.values()]) for key in COLUMNS}
    summary: dict[str, Any] = {"given": len(metrics) + len(failed), "reconstructed": len(metrics), **means}
    farthest = _known([numbers["five_point_residual_px_max"] for numbers in metrics.values()])
    summary["five_point_residual_px_max"] = round(max(farthest), 3) if farthest else None
    summary |= {"seconds": round(seconds, 1), "seconds_per_photo": means["seconds"], "failed": failed}
    write_json(output / "summary.json", summary)
    with atomic_path(output / "failed.txt") as path:
        path.write_text("".join(f"{name}: {reason}\n" for name, reason in failed.items()), encoding="utf-8")
    if sheet:
        with atomic_path(output / "sheet.png") as path:
            contact_sheet(sheet).save(path)
    else:
        (output / "sheet.png").unlink(missing_ok=True)  # of an earlier run


def _known(values: list[float]) -> list[float]:
    return [value for value in values if not np.isnan(value)]  # of photos in which mask and face overlap


def _mean(values: list[float]) -> float | None:
    known = _known(values)
    return round(float(np.mean(known)), 3) if known else None


def table(output: Path, metrics: dict[str, dict[str, float]], failed: dict[str, str]) -> Iterator[str]:
    """Lines of the table that a run prints at its end."""
    width = max([len(name) for name in (*metrics, *failed)], default=5)
    yield f"{'photo':<{width}}  coarse dB  fine dB  covered  points px  seconds"
    for name, numbers in metrics.items():
        yield (
            f"{name:<{width}}  {numbers['psnr_coarse']:9.2f}  {numbers['psnr_fine']:7.2f}  {numbers['coverage']:7.1%}  "
            f"{numbers['five_point_residual_px']:9.2f}  {numbers['seconds']:7.2f}"
        )
    for name, reason in failed.items():
        yield f"{name:<{width}}  not reconstructed: {reason}"
    every = counted(len(metrics) + len(failed), "photo")
    yield f"{len(metrics)} of {every} reconstructed, results in {output}"
