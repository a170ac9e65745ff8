"""Report page of a run: one card per photo, written as soon as it is done, and a header with the means."""

import base64
import dataclasses
import hashlib
import math
import os
import shutil
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import jinja2
import numpy as np

from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path, space_for
from lib.geometry.camera import Camera
from lib.mesh_export.uv_chart import UvChart
from model.report.face_data import encode_mesh, encode_pictures, encode_shared, encode_textures
from model.report.pictures import ReportedPhoto

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("face_mesh.js", "renderer.js", "face_view.js", "chart.js", "page.js")
# File names may contain bytes that are not valid UTF-8.
ENCODING, ERRORS = "utf-8", "replace"
# Pictures shown large next to the 3D view; the others are small.
LARGE = ("photo", "coarse", "fine")
# Numbers whose means are shown in the header.
MEANS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "seconds")
DESCRIPTIONS = {
    "photo": "the aligned photo",
    "mask": "the part of the photo that counts as skin",
    "coarse": "rendering with the face model's own albedo",
    "fine": "rendering with the refined texture, as it appears in this photo",
    "overlay": "the fine rendering laid over the photo",
    "landmarks": "68 landmarks of the fitted face in green, the five detected points in red",
    "shape": "the shape without colours",
    "light": "a grey ball under the light estimated from the photo",
}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,  # values are escaped unless a template marks them as safe
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters["decimal"] = _decimal
    environment.filters["signed"] = lambda decibels: _decimal(decibels, "+.1f", " dB")
    return environment


def _decimal(value: float, form: str = ".1f", unit: str = "") -> str:
    """Formats a number with its unit; a dash if it is not finite."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else "–"


TEMPLATES = _environment()


class Report:
    """One self-contained HTML page about a folder of photos.

    Cards are written to an unnamed temporary file as they arrive, so that memory does not grow with the number of
    photos and an interrupted run leaves an earlier page intact. `finish` assembles header, cards and scripts.

    Args:
      output: folder of the results; receives index.html.
      face_model: face model whose triangles all faces share.
      chart: chart of the faces' textures.
      camera: camera of the crops; the page renders with the same camera.
      title: title of the page, the name of the reconstructed folder.
    """

    def __init__(self, output: Path, face_model: FaceModel, chart: UvChart, camera: Camera, title: str):
        self.output, self.camera, self.title = Path(output), camera, title
        self._mesh = encode_shared(face_model, chart)
        # Open until `finish`.
        self._cards = tempfile.TemporaryFile("w+", encoding=ENCODING, errors=ERRORS, dir=self.output)  # noqa: SIM115
        self._metrics: list[Mapping[str, float]] = []
        self._failed: dict[str, str] = {}

    def add(self, result: ReportedPhoto, folder: str, name: str | None = None) -> None:
        """Writes the card of a `PhotoResult` whose files are in `folder`; `name` replaces the photo's file name."""
        payload = {
            "pictures": encode_pictures(result),
            "mesh": encode_mesh(result),
            "textures": encode_textures(result),
        }
        name = name or result.photo.name
        others = [title for title in payload["pictures"] if title not in LARGE]
        card = TEMPLATES.get_template("card.html").render(
            name=name,
            folder=urllib.parse.quote(os.fsencode(folder)),
            metrics=result.metrics,
            photo=_figure("photo"),
            large=[_figure(title) for title in LARGE if title != "photo"],
            small=[_figure(title) for title in others],
            payload=payload,
        )
        with space_for(self.output / "index.html"):
            self._cards.write(card)
            self._cards.flush()
        self._metrics.append(result.metrics)

    def fail(self, name: str, reason: str) -> None:
        """Adds a photo to the list of those that could not be reconstructed."""
        self._failed[name] = reason

    def finish(self) -> Path:
        """Writes index.html atomically and returns its path."""
        scripts = [read_asset(name) for name in SCRIPTS]
        head = TEMPLATES.get_template("head.html").render(
            policy=_policy(scripts),
            title=self.title,
            style=read_asset("style.css"),
            done=len(self._metrics),
            failed=self._failed,
            mean={key: self._mean(key) for key in MEANS},
        )
        shared = {"mesh": self._mesh, "camera": dataclasses.asdict(self.camera)}
        tail = TEMPLATES.get_template("tail.html").render(shared=shared, scripts=scripts)
        with (
            atomic_path(self.output / "index.html") as path,
            open(path, "w", encoding=ENCODING, errors=ERRORS) as stream,
        ):
            stream.write(head)
            self._cards.seek(0)
            shutil.copyfileobj(self._cards, stream)
            stream.write(tail)
        self._cards.close()
        return self.output / "index.html"

    def _mean(self, key: str) -> float:
        values = [metrics[key] for metrics in self._metrics if math.isfinite(metrics[key])]
        return float(np.mean(values)) if values else math.nan


def _figure(title: str) -> dict[str, str]:
    """Placeholder of a picture; page.js fills it when it scrolls into view."""
    description = DESCRIPTIONS.get(title, f"the textured face as lit in the photo, turned: {title} degrees")
    return {"title": title, "description": description, "caption": f"{title}°" if title.startswith("yaw") else title}


def _policy(scripts: list[str]) -> str:
    """Content security policy: allows exactly these scripts and embedded pictures, and no network requests."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def read_asset(name: str) -> str:
    """The text of a style sheet or script of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")
