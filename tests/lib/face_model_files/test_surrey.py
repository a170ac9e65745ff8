"""The Surrey Face Model's files, written from a known model in the layout of eos: what is read must be that model."""

import dataclasses
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import main
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files import published
from lib.face_model_files.completion import mirror_by_connection, mirror_by_position
from lib.face_model_files.formats import surrey
from lib.face_model_files.formats.eos_files import read_eos_model
from lib.face_model_files.formats.surrey import MARKS, NAME, load_surrey
from lib.face_model_files.landmark_files import FILE
from lib.face_model_files.published import form_of, load_published
from tests.support.faces import built_in_face
from tests.support.programs.one_line import one_line
from tests.support.published_files.pinned import check_conversion
from tests.support.published_files.surrey_files import (
    MODEL,
    NO_COLOUR,
    NOTHING,
    THERE,
    blendshapes,
    chart_of,
    linear,
    matrix,
    rows,
    shape_of,
    text,
    write_public,
)


@pytest.fixture(scope="module")
def built_in() -> FaceModel:
    return built_in_face(2000)


@pytest.fixture
def public(tmp_path, built_in) -> Path:
    return write_public(tmp_path / "share", built_in)


def check_geometry(model: FaceModel, built_in: FaceModel) -> None:
    np.testing.assert_allclose(model.mean_shape, built_in.mean_shape, atol=1e-5)  # the shift is gone
    np.testing.assert_allclose(model.identity_basis, built_in.identity_basis, atol=1e-5)
    np.testing.assert_allclose(model.uv, built_in.uv, atol=1e-6)
    np.testing.assert_array_equal(model.triangles, built_in.triangles)


def test_the_public_files(tmp_path, public, built_in, monkeypatch):
    monkeypatch.setattr(published, "load_built_in", lambda cache_dir: built_in)
    model = load_published(public.parent, tmp_path / "cache")
    check_conversion("Surrey", model)
    check_geometry(model, built_in)
    named = [*range(17, 60), 8, 61, 62, 63, 65, 66, 67]
    np.testing.assert_array_equal(model.landmarks[named], built_in.landmarks[named])
    jaw = model.mean_shape[model.landmarks] - model.mean_shape[built_in.landmarks]
    assert np.linalg.norm(jaw, axis=1).max() < 0.1
    # What the files lack is carried over; a model carried over to itself is itself.
    assert (model.name, model.layout.albedo) == (NAME, built_in.layout.albedo)
    assert np.median(np.abs(model.mean_albedo - built_in.mean_albedo)) < 1e-3
    assert model.expression_names == built_in.expression_names
    assert form_of(public).description == form_of(public.parent).description
    assert "sfm_shape_3448.bin" in form_of(public).description


def test_vertices_are_mirrored_by_connection_where_that_is_possible(public, built_in, monkeypatch):
    np.testing.assert_array_equal(load_surrey(public, built_in).mirror_index, built_in.mirror_index)  # not one piece
    own = np.arange(built_in.vertex_count)
    monkeypatch.setattr(surrey, "mirror_by_connection", lambda shape, triangles: own)
    np.testing.assert_array_equal(load_surrey(public, built_in).mirror_index, own)


def test_blendshapes_beside_the_file_are_its_expressions(public, built_in):
    names = ("anger", "disgust", "")
    path = public.parent / f"expression_blendshapes_{built_in.vertex_count}.bin"
    path.write_bytes(blendshapes(built_in, names))
    model = load_surrey(public, built_in)
    assert model.expression_names == ("anger", "disgust", "2")
    np.testing.assert_allclose(model.expression_basis, built_in.expression_basis[:3], atol=1e-5)
    path.write_bytes(struct.pack("<Q", 1) + text("anger") + matrix(np.zeros(9)))
    with pytest.raises(UserError, match=f"{path.name}.*of {built_in.vertex_count} vertices.*got 3 vertices"):
        load_surrey(public, built_in)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_later_versions_with_colours_and_expressions(public, built_in, version):
    colour = linear(built_in.mean_albedo, built_in.albedo_basis, built_in.triangles, 1.0)
    moved = np.zeros_like(built_in.mean_shape)
    moved[:, 1] = 0.1 * built_in.mean_shape[:, 0] ** 2  # the mean expression: the corners of the mouth up
    if version == 2:
        expression = struct.pack("<i", 0) + linear(moved, built_in.expression_basis, np.zeros((0, 3)), 100.0)
    else:
        expression = struct.pack("<i", 1) + blendshapes(built_in, built_in.expression_names)
    landmarks = NOTHING if version == 3 else THERE + struct.pack("<Q", 1) + text("nose") + struct.pack("<i", 114)
    parts = [struct.pack("<I", version), shape_of(built_in), colour, THERE, expression]
    parts += [landmarks] * (version >= 3) + [chart_of(built_in)] + [rows(built_in.triangles, "<i4")] * (version == 4)
    public.write_bytes(b"".join(parts))
    model = load_surrey(public, built_in)
    if version == 2:
        check_geometry(
            model, dataclasses.replace(built_in, mean_shape=built_in.mean_shape + moved - moved.mean(axis=0))
        )
    else:
        check_geometry(model, built_in)
    np.testing.assert_allclose(model.expression_basis, built_in.expression_basis, atol=1e-5)
    np.testing.assert_allclose(model.mean_albedo, built_in.mean_albedo, atol=1e-6)
    np.testing.assert_allclose(model.albedo_basis, built_in.albedo_basis, atol=1e-6)
    assert model.expression_names == (() if version == 2 else built_in.expression_names)
    if version == 4:  # a chart with seams has no one place for each vertex
        public.write_bytes(b"".join([*parts[:-1], rows(built_in.triangles[::-1], "<i4")]))
        assert read_eos_model(public).uv is None


def test_a_file_of_all_landmarks_takes_the_place_of_the_mapping(public, built_in):
    (public.parent / MARKS).unlink()
    with pytest.raises(UserError, match=rf"{MARKS}.*must name landmarks.*{FILE}"):
        load_surrey(public, built_in)
    (public.parent / FILE).write_text("\n".join(map(str, built_in.landmarks)))
    np.testing.assert_array_equal(load_surrey(public, built_in).landmarks, built_in.landmarks)


def mapping(landmarks: dict[int, int]) -> str:
    return "[landmark_mappings]\n" + "".join(f"{number + 1} = {vertex}\n" for number, vertex in landmarks.items())


def test_landmarks_that_are_on_no_face_are_refused_with_the_name_of_their_file(public, built_in):
    marks, vertices = public.parent / MARKS, built_in.landmarks.tolist()
    brow = [8, *range(17, 27)]
    marks.write_text(mapping(dict(zip(brow, [vertices[number] for number in reversed(brow)], strict=True))))
    with pytest.raises(UserError, match=rf"{MARKS}: landmarks must lie as on a face"):
        load_surrey(public, built_in)
    marks.write_text(mapping({number: vertices[number] for number in (8, 27, 28, 29, 30, 33, 51)}))
    with pytest.raises(UserError, match=rf"{MARKS}: landmarks must not all lie in one plane.*both sides"):
        load_surrey(public, built_in)
    (public.parent / FILE).write_text("\n".join(map(str, vertices[::-1])))
    with pytest.raises(UserError, match=rf"{FILE}: landmarks must lie as on a face"):
        load_surrey(public, built_in)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[landmark_mappings]\n9 = 99999\n", "within 0.*got 9 = 99999"),
        ("[landmark_mappings]\n9 = true\n", "got 9 = True"),
        ("[landmark_mappings]\n69 = 1\n", "from 1 to 68, got 69 = 1"),
        ("[landmark_mappings]\n9 = 1\n10 = 1\n", "every landmark a different vertex"),
        ("[landmark_mappings]\n9 = 1\n", "at least 6 landmarks"),
        ("[landmark_mappings]\nchin = 1\n", "TOML.*ValueError"),
        ("landmark_mappings = 3\n", "TOML.*AttributeError"),
        ("[other]\n9 = 1\n", "TOML.*KeyError"),
        ("9 -> 1\n", "TOML.*TOMLDecodeError"),
    ],
)
def test_mappings_that_are_none_are_refused(public, built_in, content, message):
    (public.parent / MARKS).write_text(content)
    with pytest.raises(UserError, match=rf"(?s){MARKS}: must .*{message}") as caught:
        load_surrey(public, built_in)
    assert "\n" not in str(caught.value)


def changed(content: bytes, at: int, form: str, value: float) -> bytes:
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


# Bytes of the file before: the rows of the mean, of the basis, the variances, the number of triangles.
MEAN = 4


def places(model: FaceModel) -> dict[str, int]:
    basis = MEAN + 8 + 12 * model.vertex_count
    variances = basis + 8 + 12 * model.vertex_count * len(model.identity_basis)
    triangles = variances + 8 + 4 * len(model.identity_basis)
    chart = triangles + 8 + 12 * len(model.triangles) + len(NO_COLOUR)
    return {"mean": MEAN, "basis": basis, "variances": variances, "triangles": triangles, "chart": chart}


@pytest.mark.parametrize(
    ("part", "offset", "form", "value", "message"),
    [
        ("mean", -4, "<I", 0, "version from 1 to 4, got 0"),
        ("mean", -4, "<I", 5, "version from 1 to 4, got 5"),
        ("mean", 0, "<i", 2**31 - 1, "whole, got .* where its shape mean needs 8589934588: truncated"),
        ("mean", 0, "<i", -1, "shape mean has rows and columns, got -1 x 1"),
        ("mean", 8, "<f", np.nan, "shape mean is finite"),
        ("basis", 4, "<i", 2**31 - 1, "whole, got .* where its shape basis needs"),
        ("basis", 8, "<f", np.inf, "shape basis is finite"),
        ("variances", 8, "<f", -1.0, "variances are not negative, got -1"),
        ("triangles", 0, "<Q", 2**64 - 1, "whole, got .* where its shape triangles needs"),
        ("triangles", 8, "<i", 10**6, r"triangles are within 0\..*1000000"),
        ("triangles", 8, "<i", -1, r"triangles are within 0\..*got -1"),
        ("chart", 0, "<Q", 2**62, "whole, got .* where its texture coordinates needs"),
        ("chart", 0, "<Q", 7, "ends after its last part, got"),
    ],
)
def test_a_forged_number_is_refused_without_memory_for_it(public, built_in, part, offset, form, value, message):
    content = public.read_bytes()
    public.write_bytes(changed(content, places(built_in)[part] + offset, form, value))
    tracemalloc.start()
    with pytest.raises(UserError, match=rf"{MODEL}: must be a face model of the eos library .*{message}") as caught:
        load_surrey(public, built_in)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 8 * len(content)  # the file's float32 as float64, and its scaled copy


def test_a_file_cut_anywhere_is_refused(public, built_in):
    content = public.read_bytes()
    starts = [place + step for place in places(built_in).values() for step in (0, 3, 8, 9)]
    for size in {0, 1, *starts, len(content) - 1}:
        public.write_bytes(content[:size])
        with pytest.raises(UserError, match=f"{MODEL}: must be a face model of the eos library that is whole"):
            read_eos_model(public)


def test_lists_that_announce_more_than_there_is_are_refused(public, built_in):
    start = struct.pack("<I", 3) + shape_of(built_in) + NO_COLOUR
    many = struct.pack("<Q", 2**63)
    for rest, message in (
        (b"\x02", "0 or 1 before its expressions, got 2"),
        (THERE + struct.pack("<i", 2), "kind 0 or 1, got 2"),
        (THERE + struct.pack("<i", 1) + many, "where its blendshapes needs"),
        (THERE + struct.pack("<iQ", 1, 0), "at least one blendshape"),
        (THERE + struct.pack("<iQ", 1, 1) + many + bytes(8), "where its name of a blendshape needs"),
        (THERE + struct.pack("<iQQ", 1, 1, 1) + b"\xff" + matrix(np.zeros(3)), "is UTF-8"),
        (NOTHING + THERE + many, "where its landmarks needs"),
    ):
        public.write_bytes(start + rest)
        with pytest.raises(UserError, match=message):
            read_eos_model(public)


@pytest.mark.parametrize("content", [b"", b"x" * 5000, bytes(5000), b"\x01" + bytes(5000)])
def test_another_file_of_that_name_is_refused_by_the_program(tmp_path, content, capsys):
    path = tmp_path / MODEL
    path.write_bytes(content)
    arguments = ["--mode", "pretrain", f"face_model.source={path}", "--root_dir", tmp_path / "root"]
    assert f"{path}: must be a face model of the eos library" in one_line(main.main, arguments, capsys)


def test_closed_lips_are_mirrored_along_themselves():
    """A strip with a slit: upper and lower lip lie on each other, each vertex nearest to one of the other lip."""
    columns, count = np.arange(-4, 5), 9
    inner = np.arange(2, count - 2)  # joined by an edge at both ends
    upper, lower = np.arange(count), np.arange(count)
    lower[inner] = count + np.arange(len(inner))
    off = np.where(inner < 4, 0.004, -0.004)  # the lips cross: left over right, right over left
    lips = np.zeros((count + len(inner), 3))
    lips[:count, 0], lips[count:, 0] = columns, columns[inner]
    lips[inner, 1], lips[lower[inner], 1] = off, -off
    start = len(lips)
    edges = np.zeros((2 * count, 3))
    edges[:, 0], edges[:count, 1], edges[count:, 1] = np.tile(columns, 2), 1.0, -1.0
    shape = np.concatenate([lips, edges]) * 0.1
    triangles = []
    for low, high in ((upper, start + np.arange(count)), (start + count + np.arange(count), lower)):
        for k in range(count - 1):
            a, b, c, d = low[k], low[k + 1], high[k + 1], high[k]
            triangles += [(a, b, c), (a, c, d)] if k < 4 else [(a, b, d), (b, c, d)]
    across = count - 1 - np.arange(count)
    expected = np.arange(len(shape))
    for line in (upper, lower, start + np.arange(count), start + count + np.arange(count)):
        expected[line] = line[across]
    assert (mirror_by_position(shape) != expected).any()
    np.testing.assert_array_equal(mirror_by_connection(shape, np.array(triangles)), expected)
    assert mirror_by_connection(shape, np.array(triangles[1:])) is None
    shape[0, 2] = 1.0
    assert mirror_by_connection(shape, np.array(triangles)) is None
