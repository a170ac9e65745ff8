"""The page that --mode evaluate leaves behind: its table and its picture sheet in one HTML file."""

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from lib.files.atomic import atomic_path
from model.evaluation.tables import DIGITS, HEADINGS, verification
from model.report.face_data import webp
from model.report.page import read_template

# Errors; of PSNR and cosine more is better.
LOWER_IS_BETTER = ("albedo_visible", "albedo_hidden")
# Pixels a side; WebP takes no more.
LARGEST = 16383


def write_evaluation_page(output: Path, metrics: Mapping, sheet: Image.Image) -> Path:
    """Writes <output>/index.html.

    Args:
      output: folder of metrics.json, which the page links to.
      metrics: the content of metrics.json.
      sheet: RGB picture of some faces.
    """
    sheet = sheet.copy()
    sheet.thumbnail((LARGEST, LARGEST))
    columns = {name: values for name, values in metrics["textures"].items() if values}
    kinds = list(next(iter(columns.values())))
    # The optimum bounds the others and is no candidate.
    best = {name: _best(name, {k: v for k, v in columns[name].items() if k != "optimum"}) for name in columns}
    page = Template(read_template("evaluation.html")).substitute(
        faces=metrics["faces"],
        style=read_template("style.css"),
        head="<tr><td></td>" + "".join(f'<th scope="col">{html.escape(HEADINGS[c])}</th>' for c in columns) + "</tr>",
        rows="".join(
            f'<tr><th scope="row">{html.escape(kind)}</th>'
            + "".join(_cell(name, columns[name][kind], kind == best[name]) for name in columns)
            + "</tr>"
            for kind in kinds
        ),
        identity=_identity(metrics["identity"]),
        width=sheet.width,
        height=sheet.height,
        sheet=webp(np.asarray(sheet)),
    )
    with atomic_path(Path(output) / "index.html") as path:
        path.write_text(page, encoding="utf-8")
    return Path(output) / "index.html"


def _identity(found: Mapping | None) -> str:
    if found is None:
        return ""
    return f"<p>Identity network, photos of {found['people']} new people: {html.escape(verification(found))}.</p>"


def _best(column: str, values: Mapping[str, float | None]) -> str | None:
    known = {kind: value for kind, value in values.items() if value is not None}
    choose = min if column in LOWER_IS_BETTER else max
    return choose(known, key=known.__getitem__) if known else None


def _cell(column: str, value: float | None, best: bool) -> str:
    if value is None:
        return "<td></td>"
    text = f"{value:.{DIGITS[column]}f}"
    return f'<td class="best">{text}</td>' if best else f"<td>{text}</td>"
