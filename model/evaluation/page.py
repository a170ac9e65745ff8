"""HTML page of --mode evaluate: the table and the picture sheet in one file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lib.files.atomic import atomic_path
from model.evaluation.tables import DIGITS, HEADINGS, split_note, verification
from model.report.face_data import webp
from model.report.page import TEMPLATES, read_asset

# Columns where lower is better; for PSNR and cosine, higher is better.
LOWER_IS_BETTER = ("albedo_visible", "albedo_hidden")
# Largest side of a WebP image, pixels.
LARGEST = 16383


def write_evaluation_page(output: Path, metrics: Mapping, sheet: Image.Image) -> Path:
    """Writes <output>/index.html.

    Args:
      output: folder of metrics.json, which the page links to.
      metrics: the content of metrics.json.
      sheet: RGB picture sheet of some faces.
    """
    sheet = sheet.copy()
    sheet.thumbnail((LARGEST, LARGEST))
    columns = {name: values for name, values in metrics["textures"].items() if values}
    kinds = list(next(iter(columns.values())))
    # The optimum is an upper bound, not a candidate.
    best = {name: _best(name, {k: v for k, v in columns[name].items() if k != "optimum"}) for name in columns}
    page = TEMPLATES.get_template("evaluation.html").render(
        faces=metrics["faces"],
        split=metrics["split"],
        note=split_note(metrics),
        partial=metrics["partial"],
        style=read_asset("style.css"),
        columns=columns,
        kinds=kinds,
        headings=HEADINGS,
        digits=DIGITS,
        best=best,
        identity=metrics["identity"],
        verification=verification,
        sheet=sheet,
        picture=webp(np.asarray(sheet)),
    )
    with atomic_path(Path(output) / "index.html") as path:
        path.write_text(page, encoding="utf-8")
    return Path(output) / "index.html"


def _best(column: str, values: Mapping[str, float | None]) -> str | None:
    known = {kind: value for kind, value in values.items() if value is not None}
    choose = min if column in LOWER_IS_BETTER else max
    return choose(known, key=known.__getitem__) if known else None
