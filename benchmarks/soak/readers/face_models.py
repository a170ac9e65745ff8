"""Face models: the program's own files and those of other publishers."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.soak.readers.kinds import MADE, OPEN, USERS, Reader, shipped
from lib.face_model.face_model import FaceModel
from lib.face_model_files import human_head, published
from lib.face_model_files.formats.basel2009 import load_basel_2009
from lib.face_model_files.formats.ict import load_ict
from lib.face_model_files.human_head import ExtendedHead, HeadAroundFace
from lib.face_model_files.published import load_published
from lib.human_head.shipped import SHIPPED as SHIPPED_HEAD
from lib.human_head.shipped import HumanHead
from lib.mesh_export.stored_chart import load_chart
from lib.mesh_export.uv_chart import uncut
from lib.synthetic.builtin.face_generator import build_face_model, load_face_model
from tests.support.golden_face import golden_face_model, small_face_model
from tests.support.published_files import basel_files, ict_files, other_files, surrey_files
from tests.support.published_files.gnm_files import gnm_arrays, write_gnm


@functools.cache
def _source() -> FaceModel:
    """The model from which others are written, and completed."""
    return build_face_model(2000)


def _basel(folder: Path) -> None:
    basel_files.write_raw(folder, basel_files.small_indices(), 90)


def _converted_basel(folder: Path) -> None:
    indices = basel_files.small_indices()
    _basel(folder)
    model = load_basel_2009(folder)
    for path in folder.iterdir():
        path.unlink()
    basel_files.write_ready(folder / "BFM_model_front.mat", model, indices.info)


def _published(name: str = "") -> Callable[[Path], Any]:
    """A function that reads the arrays of a published model, file or folder, completed from a small one."""

    def read(folder: Path) -> Any:
        with mock.patch.object(published, "load_built_in", return_value=_source()):
            return load_published(folder / name, folder.parent / "converted")

    return read


def _extended_head(folder: Path) -> Any:
    """A larger area of the head and its chart, as if built from a small model."""
    model = small_face_model()
    area = HeadAroundFace(**{field.name: getattr(model, field.name) for field in dataclasses.fields(model)})
    made = ExtendedHead(area, uncut(model.uv, model.triangles))
    with (
        mock.patch.object(ExtendedHead, "build", return_value=made),
        mock.patch.object(HumanHead, "load"),
        mock.patch.object(human_head, "load_built_in"),
    ):
        found = ExtendedHead.load(folder, "face", "head", 2000)
    return found.model, found.chart


def _statismo(folder: Path) -> None:
    other_files.write_statismo(folder / "model.h5", _source(), np.zeros_like(_source().mean_shape))


def _flame(folder: Path) -> None:
    other_files.write_flame(folder / "flame.npz", _source(), **other_files.corners_of(_source(), 0))


FACE_MODELS = (
    Reader("built-in", "cached face models", MADE, lambda folder: load_face_model(folder, 2000),
           lambda folder: load_face_model(folder, 2000), fuzzed=False),
    Reader("chart", "stored texture charts", MADE, lambda folder: load_chart(golden_face_model(), folder),
           lambda folder: load_chart(golden_face_model(), folder), fuzzed=False),
    Reader("head area", "cached areas of the human head", MADE, _extended_head, _extended_head, fuzzed=False),
    Reader("human head", "the human head", MADE, shipped(SHIPPED_HEAD, "human_head.npz"),
           lambda folder: HumanHead.load(folder / "human_head.npz"), fuzzed=False),
    Reader("face model", "face models (`.npz`)", USERS, lambda folder: golden_face_model().save(folder / "face.npz"),
           lambda folder: FaceModel.load(folder / "face.npz")),
    Reader("tent", "face models (`.npz`), tiny", USERS, lambda folder: small_face_model().save(folder / "tent.npz"),
           lambda folder: FaceModel.load(folder / "tent.npz")),
    Reader("basel", "Basel Face Model 2009 (`.mat`, `.bin`, `.txt`)", OPEN, _basel, _published()),
    Reader("converted basel", "Basel Face Model 2009, converted (`BFM_model_front.mat`)", OPEN, _converted_basel,
           _published()),
    Reader("statismo", "Basel Face Model 2019 (`.h5`)", OPEN, _statismo, _published("model.h5")),
    Reader("flame", "FLAME (`.npz`)", USERS, _flame, _published("flame.npz")),
    Reader("gnm", "GNM Head (`.npz`, `.txt`)", OPEN,
           lambda folder: write_gnm(folder, gnm_arrays(_source(), part=0.05), _source().landmarks),
           _published()),
    Reader("surrey", "Surrey Face Model (`.bin`, landmark mapping)", OPEN,
           lambda folder: surrey_files.write_public(folder, _source()), _published()),
    Reader("ict", "ICT-FaceKit (`.obj`, `.json`)", OPEN,
           lambda folder: ict_files.write_folder(folder / "FaceXModel", ict_files.small_arrays()),
           lambda folder: load_ict(folder / "FaceXModel", _source(), ict_files.SMALL), "FaceXModel/*",
           fuzzed=False),
    Reader("template", "a mesh of one's own (`template.obj`, `landmarks.txt`)", OPEN,
           lambda folder: other_files.write_template(folder / "mine", _source()),
           _published("mine"), "mine/*"),
)  # fmt: skip
