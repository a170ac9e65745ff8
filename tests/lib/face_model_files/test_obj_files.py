"""OBJ meshes as modelling programs write them."""

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model_files import polygons
from lib.face_model_files.formats import obj_files
from lib.face_model_files.formats.obj_files import read_obj, read_vertices, vertex_count
from lib.face_model_files.polygons import triangulate

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"


def written(folder, text: str | bytes):
    path = folder / "mesh.obj"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        SQUARE.replace(" ", "\t"),
        SQUARE.replace("v", "  v").replace("f", "\t f"),
        SQUARE.replace("\n", " # a comment\n"),
        SQUARE.replace("\n", "\r\n"),
        SQUARE.replace("\n", "\r"),
        SQUARE.replace("f 1 2 3 4", "f 1 2 \\\n3 \\ \n 4"),
        SQUARE.replace("v 1 1 0", "v 1 \\\r\n 1 0"),
        SQUARE.encode("utf-8-sig"),
        SQUARE.encode("utf-16"),
        SQUARE.replace("v 0 0 0", "v 0 0 0 0.5 0.5 0.5"),
    ],
)
def test_the_format_allows_any_white_space(tmp_path, text):
    path = written(tmp_path, text)
    mesh = read_obj(path)
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mesh.triangles, [[0, 1, 2], [0, 2, 3]])
    assert vertex_count(path) == 4
    np.testing.assert_array_equal(read_vertices(path, 2), mesh.vertices[:2])


def test_relative_indices_count_back_from_the_vertices_read_so_far(tmp_path):
    blocks = "".join(
        f"v 0 0 {z}\nv 1 0 {z}\nv 1 1 {z}\nvt 0 {z}\nvt 1 {z}\nvt 0.5 {z}\nf -3/-3 -2/-2 -1/-1\n" for z in (0, 5, 7)
    )
    mesh = read_obj(written(tmp_path, blocks))
    np.testing.assert_array_equal(mesh.triangles, np.arange(9).reshape(3, 3))
    np.testing.assert_array_equal(mesh.uv[:, 1], np.repeat([0, 5, 7], 3))


def area(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Signed areas seen from +z."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)[:, 2] / 2


@pytest.mark.parametrize(
    "polygon",
    [
        [(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)],
        [(0, 0), (2, 1), (4, 0), (2, 4)],  # a quad whose shorter diagonal lies outside
        [(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)],
        [(0, 0), (2, 0), (4, 0), (4, 2), (0, 2)],
        [(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 9)[:-1]],
        [(r * np.cos(t), r * np.sin(t)) for r, t in zip([2, 0.7] * 7, np.linspace(0, 2 * np.pi, 15)[:-1], strict=True)],
        [(0, 0), (6, 0), (6, 6), (0, 6), (0, 0), (1, 1), (1, 5), (5, 5), (5, 1), (1, 1)],  # a hole, by a bridge
    ],
)
@pytest.mark.parametrize("first", range(4))
def test_polygons_of_any_shape_are_covered_once(polygon, first):
    flat = np.roll(np.array(polygon, float), first, axis=0)
    x, y = flat[:, 0], flat[:, 1]
    whole = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
    vertices = np.column_stack([flat, np.zeros(len(flat))])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    triangles = triangulate(vertices @ turn + 3, np.arange(len(flat))[None])
    assert triangles.shape == (len(flat) - 2, 3)
    areas = area(vertices, triangles)
    assert (areas > -1e-9).all()
    np.testing.assert_allclose(areas.sum(), whole)


def test_polygons_of_one_size_keep_their_order():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [1, 0.5, 0], [0, 2, 0], [-1, 1, 0.0]])
    polygons = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 4, 5]])
    triangles = triangulate(vertices, polygons)
    assert set(triangles[:3].ravel()) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(triangles[3:], [[0, 1, 2], [0, 2, 4], [0, 4, 5]])


def test_a_polygon_that_crosses_itself_is_split_all_the_same():
    star = np.array([(np.cos(t), np.sin(t), 0) for t in np.linspace(0, 4 * np.pi, 6)[:-1]])
    assert triangulate(star, np.arange(5)[None]).shape == (3, 3)
    assert triangulate(np.zeros((6, 3)), np.arange(6)[None]).shape == (4, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 1 2 3\nv 1 2 3\nv 1 2 3\nf 1 2 99999999999999999999\n", "must name vertices by numbers"),
        (SQUARE.replace("f 1", "f 0"), "use the 4 vertices there are, got 0"),
        (SQUARE.replace("f 1", "f -5"), "use the 4 vertices there are, got 0"),
        (SQUARE.replace("f 1", "f x"), "must name vertices by numbers"),
        (SQUARE.replace("f 1 2 3 4", "f 1 2"), "three corners or more"),
        (SQUARE.replace("v 1 1 0", "v 1 1"), "three numbers for each vertex"),
        (SQUARE.replace("v 1 1 0", "v 1 1 1e999"), "finite"),
        ("v 1 2\nv 3 4\nv 5 6\nf 1 2 3\n", r"three numbers for each vertex, got something else \(2 in a line\)"),
        ("vt 0\n" * 8 + SQUARE.replace("f 1 2 3 4", "f 1/1 2/2 3/3 4/4"), "two numbers for each texture coordinate"),
        ("vt 0 0\nvt 0.5 0.3\x143\n" + SQUARE.replace("f 1 2 3 4", "f 1/1 2/2 3/1 4/1"), "each texture coordinate"),
        (SQUARE.replace("f 1 2 3 4", "f 1/a 2/2 3/1 4/1"), "by numbers"),
        ("", "at least 1 vertices"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_obj(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_large_concave_polygon_takes_few_tests(monkeypatch):
    """After a cut, only the neighbours' triangles are looked at again, and those that held the corner cut off."""
    tested, count = [], 400
    held = polygons._held
    monkeypatch.setattr(polygons, "_held", lambda *given: tested.append(1) or held(*given))
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = np.where(np.arange(count) % 2, 1.0, 0.9)
    star = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(count)])
    areas = area(star, triangulate(star, np.arange(count)[None]))
    assert (areas > 0).all()
    assert len(tested) < 6 * count


def test_more_concave_polygons_than_can_be_split_in_a_minute_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(obj_files, "_MOST_WORK", 100)
    corners = "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 1 0.5 0\nv 0 2 0\n"
    concave, convex = "f 1 2 3 4 5\n", "f 1 2 3 5\n"
    assert len(read_obj(written(tmp_path, corners + 4 * concave + 50 * convex)).triangles) == 4 * 3 + 50 * 2
    with pytest.raises(UserError, match=r"mesh\.obj: the squared .* add up to 100 at most, got 125 \(triangulate them"):
        read_obj(written(tmp_path, corners + 5 * concave))


def test_a_polygon_of_more_corners_than_anybody_draws_is_refused(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nf " + "1 2 3 " * 334
    with pytest.raises(UserError, match=r"mesh\.obj: polygons must have at most 1000 corners, got 1002"):
        read_obj(written(tmp_path, text))
