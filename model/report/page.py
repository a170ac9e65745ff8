"""Writes the page: a card for each photo as it is done, the head with its means when all are."""

import base64
import dataclasses
import hashlib
import html
import json
import math
import os
import shutil
import tempfile
import urllib.parse
from pathlib import Path
from string import Template

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path, space_for
from lib.geometry.camera import Camera
from model.report.face_data import encode_columns, encode_mesh, encode_pictures

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("face_mesh.js", "renderer.js", "face_view.js", "chart.js", "page.js")
# A file may be called anything, even what is no text.
TEXT = {"encoding": "utf-8", "errors": "replace"}
# Shown large beside the turning face; the others, but for the photo, are small.
LARGE = ("photo", "coarse", "fine")
DESCRIPTIONS = {
    "photo": "the aligned photo",
    "mask": "what counts as skin, cut out of the photo",
    "coarse": "rendering with the face model's own albedo",
    "fine": "rendering with the refined texture, its appearance in this photo",
    "overlay": "the fine rendering laid over the photo",
    "landmarks": "68 landmarks of the fitted face in green, the five detected points in red",
    "shape": "the shape without its colours",
    "light": "a grey ball under the light found in the photo",
}


class Report:
    """One self-contained HTML page about a folder of photos.

    Cards go to a nameless temporary file as they come, so that memory does not grow with the number of photos and a
    killed run leaves an earlier page as it was; `finish` puts head, cards and scripts together.

    Args:
      output: folder of the results; receives index.html.
      face_model: its triangles join every face's vertices.
      camera: that of the crops; the page draws with the same.
      title: what was reconstructed.
    """

    def __init__(self, output: Path, face_model: FaceModel, camera: Camera, title: str):
        self.output, self.camera, self.title = Path(output), camera, title
        self._mesh = {
            "vertices": face_model.vertex_count,
            "triangles": len(face_model.triangles),
            "block": encode_columns(list(np.asarray(face_model.triangles).astype(np.uint32).T)),
        }
        self._card = Template(read_template("card.html"))
        self._cards = tempfile.TemporaryFile("w+", dir=self.output, **TEXT)  # noqa: SIM115 - open until `finish`
        self._metrics: list[dict[str, float]] = []
        self._failed: dict[str, str] = {}

    def add(self, result, folder: str, name: str | None = None) -> None:
        """Writes the card of a `PhotoResult` whose files are in the sub-folder `folder`; `name` or else the file's."""
        payload = {"pictures": encode_pictures(result), "mesh": encode_mesh(result)}
        metrics, name = result.metrics, name or result.photo.name
        gain = metrics["psnr_fine"] - metrics["psnr_coarse"]
        card = self._card.substitute(
            name=html.escape(name),
            folder=html.escape(urllib.parse.quote(os.fsencode(folder))),
            coarse=_number(metrics["psnr_coarse"]),
            fine=_number(metrics["psnr_fine"]),
            gain=_signed(gain),
            coverage=f"{metrics['coverage']:.0%}",
            points=_number(metrics["five_point_residual_px"], 2),
            points_max=_number(metrics["five_point_residual_px_max"], 2),
            seconds=_number(metrics["seconds"]),
            sort_fine=round(metrics["psnr_fine"], 4),
            sort_coarse=round(metrics["psnr_coarse"], 4),
            sort_points=round(metrics["five_point_residual_px"], 4),
            large="".join(_figure(title, name) for title in LARGE if title != "photo"),
            photo=_figure("photo", name),
            small="".join(_figure(title, name) for title in payload["pictures"] if title not in LARGE),
            payload=_json(payload),
        )
        with space_for(self.output / "index.html"):
            self._cards.write(card)
            self._cards.flush()
        self._metrics.append(metrics)

    def fail(self, name: str, reason: str) -> None:
        """Lists a photo that could not be reconstructed."""
        self._failed[name] = reason

    def finish(self) -> Path:
        """Writes index.html, all or nothing, and returns its path."""
        shared = {"mesh": self._mesh, "camera": dataclasses.asdict(self.camera)}
        scripts = [read_template(name) for name in SCRIPTS]
        head = Template(read_template("head.html")).substitute(
            policy=_policy(scripts),
            title=html.escape(self.title),
            style=read_template("style.css"),
            summary=self._summary(),
            failures=self._failures(),
            count=len(self._metrics),
            hidden="" if self._metrics else "hidden",
        )
        with atomic_path(self.output / "index.html") as path, open(path, "w", **TEXT) as stream:
            stream.write(head)
            self._cards.seek(0)
            shutil.copyfileobj(self._cards, stream)
            stream.write(Template(read_template("tail.html")).substitute(shared=_json(shared)))
            stream.writelines(f"<script>{script}</script>\n" for script in scripts)
        self._cards.close()
        return self.output / "index.html"

    def _summary(self) -> str:
        """The tiles on top."""
        given = len(self._metrics) + len(self._failed)
        tiles = []
        if self._metrics:
            coarse, fine = self._mean("psnr_coarse"), self._mean("psnr_fine")
            tiles = [
                (_signed(fine - coarse), f"{_number(coarse)} dB coarse → {_number(fine)} dB fine, mean PSNR"),
                (f"{self._mean('coverage'):.0%}", "of the mask covered"),
                (f"{_number(self._mean('five_point_residual_px'), 2)} px", "points residual"),
                (f"{_number(self._mean('seconds'))} s", "a photo"),
            ]
        tiles.insert(1, (f"{len(self._metrics)} of {given}", "photos done"))
        return "".join(f"<div><dt>{text}</dt><dd>{value}</dd></div>" for value, text in tiles)

    def _mean(self, key: str) -> float:
        values = [metrics[key] for metrics in self._metrics if math.isfinite(metrics[key])]
        return float(np.mean(values)) if values else math.nan

    def _failures(self) -> str:
        if not self._failed:
            return ""
        items = "".join(
            f'<li data-name="{html.escape(name)}"><b>{html.escape(name)}</b> <span>{html.escape(reason)}</span></li>'
            for name, reason in self._failed.items()
        )
        count = len(self._failed)
        heading = f"{count} photo{'s were' if count > 1 else ' was'} not reconstructed"
        opened = "" if self._metrics else " open"
        return f'<details id="failed"{opened}><summary>{heading}</summary><ul>{items}</ul></details>'


def _figure(title: str, name: str) -> str:
    """A picture's place; page.js fills it when it comes into view."""
    description = DESCRIPTIONS.get(title, f"the fine albedo under the photo's light, turned: {title} degrees")
    caption = f"{title}°" if title.startswith("yaw") else title
    return (
        f'<figure><img data-picture="{html.escape(title)}" width="224" height="224" '
        f'alt="{html.escape(f"{name}: {description}")}" title="{html.escape(description)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _policy(scripts: list[str]) -> str:
    """Content security policy: these very scripts, pictures inside the page, and no request to anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def read_template(name: str) -> str:
    """Text of a file beside this one."""
    return (FOLDER / name).read_text(encoding="utf-8")


def _json(content: dict) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _signed(decibels: float) -> str:
    return f"{decibels:+.1f} dB" if math.isfinite(decibels) else "–"
