"""Renders a photo's card of the report page, and the data that all cards share."""

import dataclasses
import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.mesh_export.uv_chart import UvChart
from model.report.face_data import encode_mesh, encode_pictures, encode_shared, encode_textures
from model.report.page import TEMPLATES, Card
from model.report.pictures import ReportedPhoto

# Pictures shown large next to the 3D view; the others are small.
LARGE = ("photo", "coarse", "fine")
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


def shared_data(face_model: FaceModel, chart: UvChart, camera: Camera) -> dict[str, Any]:
    """What all cards share, as JSON values.

    Args:
      face_model: face model whose triangles all faces share.
      chart: chart of the faces' textures.
      camera: camera of the crops; the page renders with the same camera.
    """
    return {"mesh": encode_shared(face_model, chart), "camera": dataclasses.asdict(camera)}


def render_card(result: ReportedPhoto, folder: str, name: str | None = None, links: Sequence[str] = ()) -> Card:
    """Renders the card of a `PhotoResult`.

    Args:
      result: the result.
      folder: where its files are, relative to the page.
      name: replaces the photo's file name.
      links: files of the folder that the card links to by name, beside the folder itself.
    """
    payload = {
        "pictures": encode_pictures(result),
        "mesh": encode_mesh(result),
        "textures": encode_textures(result),
    }
    name = name or result.photo.name
    others = [title for title in payload["pictures"] if title not in LARGE]
    html = TEMPLATES.get_template("card.html").render(
        name=name,
        folder=urllib.parse.quote(os.fsencode(folder)),
        metrics=result.metrics,
        photo=_figure("photo"),
        large=[_figure(title) for title in LARGE if title != "photo"],
        small=[_figure(title) for title in others],
        links=links,
        payload=payload,
    )
    return Card(name, html, result.metrics)


def _figure(title: str) -> dict[str, str]:
    """Placeholder of a picture; page.js fills it when it scrolls into view."""
    description = DESCRIPTIONS.get(title, f"the textured face as lit in the photo, turned: {title} degrees")
    return {"title": title, "description": description, "caption": f"{title}°" if title.startswith("yaw") else title}
