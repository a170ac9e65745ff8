"""Meshes of users that are no face: every fault is told with its file, none ends in a traceback."""

import os

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model_files.formats.template import TEMPLATE, load_template
from lib.face_model_files.landmark_files import FILE
from tests.support.faces import built_in_face
from tests.support.published_files.other_files import turned, write_obj, write_template


@pytest.fixture(scope="module")
def built_in():
    return built_in_face(2000)


def stray(where, place):
    """Moves a vertex, a landmark or another, to a place far away."""

    def change(vertices, landmarks):
        others = np.setdiff1d(np.arange(len(vertices)), landmarks)
        vertices[landmarks[0] if where == "landmark" else others[0]] = place

    return change


def scaled(factor):
    def change(vertices, landmarks):
        vertices *= factor

    return change


@pytest.mark.parametrize(
    "change",
    [stray("other", 1e300), stray("other", 1e38), stray("landmark", 1e300), scaled(0.0), scaled(1e-200), scaled(1e200)],
)
def test_vertices_of_no_face_are_told(tmp_path, built_in, change):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    vertices = turned(built_in.mean_shape).astype(np.float64)
    change(vertices, built_in.landmarks)
    write_obj(folder / TEMPLATE, vertices, built_in.triangles)
    with pytest.raises(UserError, match=r"template\.obj: vertices must lie within 1,000 times the extent"):
        load_template(folder, built_in)


@pytest.mark.parametrize("number", ["nan", "inf", "1e300"])
def test_landmarks_that_are_nowhere_are_told(tmp_path, built_in, number):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    (folder / FILE).write_text(f"{number} 0 0\n" * 68)
    with pytest.raises(UserError, match=r"landmarks\.txt: numbers must be finite and below 1e\+100, got others"):
        load_template(folder, built_in)


@pytest.mark.parametrize("kind", ["identity", "expressions"])
def test_a_pipe_among_the_meshes_is_refused_instead_of_waited_for(tmp_path, built_in, kind):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    (folder / kind).mkdir(exist_ok=True)
    os.mkfifo(pipe := folder / kind / "smile.obj")
    with pytest.raises(UserError, match=f"{pipe}: must be an OBJ file, got a device, a pipe or a socket"):
        load_template(folder, built_in)


@pytest.mark.parametrize("doubled", [0, 3])
def test_a_chart_with_seams_is_replaced_and_that_is_told(tmp_path, built_in, doubled, capsys):
    """Textures that were made for it would not fit the exports."""
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    corners = built_in.triangles + 1
    texture = corners.copy()
    texture[:doubled, 0] = len(built_in.uv) + 1
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in turned(built_in.mean_shape)]
    lines += [f"vt {u:.7f} {v:.7f}" for u, v in [*built_in.uv, (0.5, 0.5)]]
    lines += ["f " + " ".join(map("{}/{}".format, *row)) for row in zip(corners, texture, strict=True)]
    (folder / TEMPLATE).write_text("\n".join(lines))
    model = load_template(folder, built_in)
    shown = capsys.readouterr().out
    if doubled:
        moved = texture != corners
        count = len(np.intersect1d(corners[moved], corners[~moved]))
        assert count > 0
        assert f"template.obj: its texture coordinates are not used, because {count} vertices have several" in shown
        assert np.abs(model.uv - built_in.uv).max() > 0.1
    else:
        assert not shown
        np.testing.assert_allclose(model.uv, built_in.uv, atol=1e-6)
