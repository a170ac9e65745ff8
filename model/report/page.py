"""Report page of a run: one card per photo, written as soon as it is done, and a header with the means.

This module does not import TensorFlow; `model.report.card` renders the cards, perhaps in another process.
"""

import base64
import hashlib
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from lib.files.atomic import atomic_path, space_for

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("face_mesh.js", "renderer.js", "face_view.js", "chart.js", "page.js")
# File names may contain bytes that are not valid UTF-8.
ENCODING, ERRORS = "utf-8", "replace"
# Numbers whose means are shown in the header.
MEANS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "seconds")


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


@dataclass(frozen=True)
class Card:
    """A photo's part of the page: name shown, HTML, and the numbers of `MEANS`."""

    name: str
    html: str
    metrics: Mapping[str, float]


class Report:
    """One self-contained HTML page about a folder of photos.

    Cards are written to an unnamed temporary file as they arrive, so that memory does not grow with the number of
    photos and an interrupted run leaves an earlier page intact. `finish` assembles header, cards and scripts.

    Args:
      output: folder of the results; receives index.html.
      title: title of the page, the name of the reconstructed folder.
    """

    def __init__(self, output: Path, title: str):
        self.output, self.title = Path(output), title
        # Open until `finish`.
        self._cards = tempfile.TemporaryFile("w+b", dir=self.output)  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}  # name -> start and length in the file, bytes
        self._metrics: dict[str, Mapping[str, float]] = {}
        self._failed: dict[str, str] = {}

    def add(self, card: Card) -> None:
        """Stores a card."""
        data = card.html.encode(ENCODING, ERRORS)
        with space_for(self.output / "index.html"):
            start = self._cards.seek(0, os.SEEK_END)
            self._cards.write(data)
            self._cards.flush()
        self._places[card.name], self._metrics[card.name] = (start, len(data)), card.metrics

    def fail(self, name: str, reason: str) -> None:
        """Adds a photo to the list of those that could not be reconstructed."""
        self._failed[name] = reason

    def finish(self, shared: Mapping[str, Any], order: Iterable[str] | None = None) -> Path:
        """Writes index.html atomically and returns its path.

        Args:
          shared: what all cards share (`model.report.card.shared_data`).
          order: the names of all cards and failures, in the order of the page; by default that of their arrival.
        """
        names = list(dict.fromkeys([*self._places, *self._failed]) if order is None else order)
        scripts = [read_asset(name) for name in SCRIPTS]
        head = TEMPLATES.get_template("head.html").render(
            policy=_policy(scripts),
            title=self.title,
            style=read_asset("style.css"),
            done=len(self._metrics),
            failed={name: self._failed[name] for name in names if name in self._failed},
            mean={key: self._mean(key, names) for key in MEANS},
        )
        tail = TEMPLATES.get_template("tail.html").render(shared=shared, scripts=scripts)
        with (
            atomic_path(self.output / "index.html") as path,
            open(path, "wb") as stream,
        ):
            stream.write(head.encode(ENCODING, ERRORS))
            for name in names:
                if name in self._places:
                    start, length = self._places[name]
                    self._cards.seek(start)
                    stream.write(self._cards.read(length))
            stream.write(tail.encode(ENCODING, ERRORS))
        self._cards.close()
        return self.output / "index.html"

    def _mean(self, key: str, names: Iterable[str]) -> float:
        every = [self._metrics[name][key] for name in names if name in self._metrics]
        values = [value for value in every if math.isfinite(value)]
        return float(np.mean(values)) if values else math.nan


def _policy(scripts: list[str]) -> str:
    """Content security policy: allows exactly these scripts and embedded pictures, and no network requests."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def read_asset(name: str) -> str:
    """The text of a style sheet or script of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")
