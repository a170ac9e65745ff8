"""The page of a run: a card for each photo as it is done, the head with the means when all are."""

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
from model.report.face_data import encode_columns, encode_mesh, encode_pictures
from model.report.pictures import ReportedPhoto

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("face_mesh.js", "renderer.js", "face_view.js", "chart.js", "page.js")
# File names need not be valid text.
ENCODING, ERRORS = "utf-8", "replace"
# Shown large beside the turning face; the others, but for the photo, are small.
LARGE = ("photo", "coarse", "fine")
# Numbers of a photo whose means stand on top.
MEANS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "seconds")
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


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,  # every value is text, unless a template marks it as safe
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
    """A number with its unit, a dash in their place where it is not finite."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else "–"


TEMPLATES = _environment()


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
        # Open until `finish`.
        self._cards = tempfile.TemporaryFile("w+", encoding=ENCODING, errors=ERRORS, dir=self.output)  # noqa: SIM115
        self._metrics: list[Mapping[str, float]] = []
        self._failed: dict[str, str] = {}

    def add(self, result: ReportedPhoto, folder: str, name: str | None = None) -> None:
        """Writes the card of a `PhotoResult` whose files are in the sub-folder `folder`; `name` or else the file's."""
        payload = {"pictures": encode_pictures(result), "mesh": encode_mesh(result)}
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
        """Lists a photo that could not be reconstructed."""
        self._failed[name] = reason

    def finish(self) -> Path:
        """Writes index.html, all or nothing, and returns its path."""
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
    """A picture's place; page.js fills it when it comes into view."""
    description = DESCRIPTIONS.get(title, f"the fine albedo under the photo's light, turned: {title} degrees")
    return {"title": title, "description": description, "caption": f"{title}°" if title.startswith("yaw") else title}


def _policy(scripts: list[str]) -> str:
    """Content security policy: these very scripts, pictures inside the page, and no request to anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def read_asset(name: str) -> str:
    """The text of a style sheet or script of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")
