"""Face models in their publishers' forms, written from a known model: what is read must be that model again."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files import published
from lib.face_model_files.correspondence import Correspondence
from lib.face_model_files.formats.flame import load_flame
from lib.face_model_files.formats.obj_files import read_obj
from lib.face_model_files.formats.statismo import NAMED, load_statismo
from lib.face_model_files.formats.template import load_template
from lib.face_model_files.landmark_files import FILE, complete_landmarks, read_landmarks
from lib.face_model_files.published import load_published
from tests.support.faces import built_in_face
from tests.support.published_files.other_files import (
    corners_of,
    turned,
    write_flame,
    write_obj,
    write_statismo,
    write_template,
)
from tests.support.published_files.pinned import check_conversion


@pytest.fixture(scope="module")
def built_in() -> FaceModel:
    return built_in_face(2000)


@pytest.fixture(autouse=True)
def small_source(built_in, monkeypatch):
    """Missing parts come from the small built-in model, which is made in a second."""
    monkeypatch.setattr(published, "load_built_in", lambda cache_dir: built_in)


def test_basel_2019(tmp_path, built_in):
    moved = np.zeros_like(built_in.mean_shape)
    moved[:, 1] = 0.02
    write_statismo(tmp_path / "model2019_face12.h5", built_in, moved)
    model = load_published(tmp_path / "model2019_face12.h5", tmp_path / "cache")
    check_conversion("Basel 2019", model)
    assert model.vertex_count == built_in.vertex_count
    np.testing.assert_allclose(model.mean_shape, built_in.mean_shape, atol=1e-5)  # centred: the shift is gone
    np.testing.assert_allclose(model.identity_basis, built_in.identity_basis, atol=1e-5)
    np.testing.assert_allclose(model.expression_basis, built_in.expression_basis, atol=1e-5)
    np.testing.assert_allclose(model.mean_albedo, built_in.mean_albedo, atol=1e-5)
    np.testing.assert_allclose(model.albedo_basis, built_in.albedo_basis, atol=1e-5)
    np.testing.assert_array_equal(model.triangles, built_in.triangles)
    named = sorted(NAMED.values())
    np.testing.assert_array_equal(model.landmarks[named], built_in.landmarks[named])
    jaw = model.mean_shape[model.landmarks[:17]] - model.mean_shape[built_in.landmarks[:17]]
    assert np.linalg.norm(jaw, axis=1).max() < 0.1
    # The folder is the same as the file, and a file of landmarks takes the place of the names.
    marks = built_in.landmarks.copy()
    marks[30] += 1
    (tmp_path / FILE).write_text("\n".join(map(str, marks)))
    np.testing.assert_array_equal(load_statismo(tmp_path, built_in).landmarks, marks)


@pytest.mark.parametrize("name", ["shape/model/mean", "expression/model/pcaBasis", "shape/representer/cells"])
def test_a_basel_file_without_an_array_is_refused_by_its_name(tmp_path, built_in, name):
    path = tmp_path / "model.h5"
    write_statismo(path, built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File(path, "a") as data:
        del data[name]
    with pytest.raises(UserError, match=name):
        load_statismo(path, built_in)
    path.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="HDF5"):
        load_statismo(path, built_in)


@pytest.mark.parametrize("fault", [RuntimeError("bad heap free list"), KeyError("address"), ValueError("precision")])
def test_whatever_the_reader_of_a_damaged_basel_file_raises_is_told(tmp_path, built_in, monkeypatch, fault):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))

    def fail(*_, getlink):
        raise fault

    monkeypatch.setattr(h5py.Group, "get", fail)
    with pytest.raises(UserError, match=rf"model\.h5: must be an HDF5 file.*{fault.args[0]}"):
        load_statismo(tmp_path / "model.h5", built_in)


@pytest.mark.parametrize("name", ["shape/representer/cells", "metadata/landmarks/json"])
def test_a_basel_file_with_an_empty_array_is_refused_by_its_name(tmp_path, built_in, name):
    path = tmp_path / "model.h5"
    write_statismo(path, built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File(path, "r+") as data:
        empty = np.zeros((3, 0) if name.endswith("cells") else 0, data[name].dtype)
        del data[name]
        data[name] = empty
    with pytest.raises(UserError, match=name):
        load_statismo(path, built_in)


@pytest.mark.parametrize("name", ["shape/model/mean", "shape/model/pcaBasis", "color/model/pcaVariance"])
@pytest.mark.parametrize("kind", ["words", "folder", "void"])
def test_a_basel_file_of_anything_but_numbers_is_refused(tmp_path, built_in, name, kind):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        shape = data[name].shape
        del data[name]
        if kind == "words":
            data[name] = np.full(shape, b"x")
        elif kind == "folder":
            data.create_group(name)
        else:
            data.create_dataset(name, (10**12, 3), "f4", chunks=True)  # takes no bytes
    with pytest.raises(UserError, match="model.h5: .*declare" if kind == "void" else f"model.h5: .*'{name}'"):
        load_statismo(tmp_path / "model.h5", built_in)


@pytest.mark.parametrize(
    ("place", "message"), [([0, 0, 0], "lie as on a face"), ([float("nan"), 0, 0], "named points")]
)
def test_points_of_a_basel_file_that_are_no_face_are_refused(tmp_path, built_in, place, message):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        del data["metadata/landmarks/json"]
        points = [{"id": name, "coordinates": place} for name in NAMED]
        data["metadata/landmarks/json"] = np.array([json.dumps(points).encode()])
    with pytest.raises(UserError, match=f"model.h5: .*{message}"):
        load_statismo(tmp_path / "model.h5", built_in)


@pytest.mark.parametrize("first", [0, 17])
def test_flame(tmp_path, built_in, first):
    write_flame(tmp_path / "flame.npz", built_in, **corners_of(built_in, first))
    model = load_published(tmp_path, tmp_path / "cache")
    if first == 0:
        check_conversion("FLAME", model)
    np.testing.assert_allclose(model.mean_shape, built_in.mean_shape, atol=1e-5)
    assert (model.layout.identity, model.layout.expression) == (100, 50)
    np.testing.assert_allclose(model.identity_basis[:60], built_in.identity_basis, atol=1e-5)
    np.testing.assert_allclose(model.expression_basis[:26], built_in.expression_basis, atol=1e-5)
    np.testing.assert_array_equal(model.landmarks[first:], built_in.landmarks[first:])
    assert np.median(np.abs(model.mean_albedo - built_in.mean_albedo)) < 1e-3  # carried over


def test_a_pickle_is_never_opened(tmp_path, built_in):
    (tmp_path / "generic_model.pkl").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(UserError, match=r"pickle.*savez"):
        load_flame(tmp_path, built_in)
    write_flame(tmp_path / "flame.npz", built_in, static_lmk_faces_idx=np.array([{}], object))
    with pytest.raises(UserError, match="plain arrays"):
        load_flame(tmp_path / "flame.npz", built_in)


def test_flame_without_landmarks_says_what_to_do(tmp_path, built_in):
    write_flame(tmp_path / "flame.npz", built_in)
    with pytest.raises(UserError, match=FILE):
        load_flame(tmp_path, built_in)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"full_lmk_bary_coords": np.ones((68, 2))}, r"'full_lmk_bary_coords' \[68, 3\].*got \[68\] and \[68, 2\]"),
        ({"full_lmk_faces_idx": np.zeros(67, int)}, r"'full_lmk_faces_idx' must be 68 triangles"),
        ({"full_lmk_faces_idx": np.full(68, 10**6)}, r"must lie within 0\.\.\d+ with finite weights, got 1000000"),
        ({"full_lmk_bary_coords": np.full((68, 3), np.nan)}, r"finite weights"),
        ({"f": np.zeros((0, 3), int)}, r"'f' must be \[F, 3\] vertices within 0"),
        ({"f": np.full((4, 3), "x")}, r"'f' must be finite numbers"),
    ],
)
def test_flame_arrays_that_do_not_fit(tmp_path, built_in, changed, message):
    write_flame(tmp_path / "flame.npz", built_in, **(corners_of(built_in, 0) | changed))
    with pytest.raises(UserError, match=message):
        load_flame(tmp_path, built_in)


def test_a_vertex_that_is_nowhere_is_refused_not_dropped(tmp_path, built_in):
    nowhere = built_in.mean_shape.copy()
    nowhere[100] = np.nan
    write_flame(tmp_path / "flame.npz", built_in, **corners_of(built_in, 0), v_template=nowhere / 10)
    with pytest.raises(UserError, match=r"flame\.npz: 'v_template' must be finite"):
        load_flame(tmp_path, built_in)
    moved = np.zeros_like(built_in.mean_shape)
    moved[100] = np.nan
    write_statismo(tmp_path / "model.h5", built_in, moved)
    with pytest.raises(UserError, match=r"model\.h5: 'expression/model/mean' must be finite"):
        load_statismo(tmp_path / "model.h5", built_in)
    write_template(tmp_path / "mine", built_in)
    path = tmp_path / "mine" / "template.obj"
    path.write_text(path.read_text().replace("v ", "v nan 0 0\nv ", 1))
    with pytest.raises(UserError, match=r"template\.obj: coordinates must be finite"):
        load_template(tmp_path / "mine", built_in)


def test_a_template_gets_what_it_lacks(tmp_path, built_in):
    write_template(tmp_path / "mine", built_in)
    model = load_published(tmp_path / "mine", tmp_path / "cache")
    check_conversion("template", model)
    np.testing.assert_allclose(model.mean_shape, built_in.mean_shape, atol=1e-4)
    np.testing.assert_array_equal(model.landmarks, built_in.landmarks)
    for name in ("identity_basis", "expression_basis", "albedo_basis"):
        assert np.median(np.abs(getattr(model, name) - getattr(built_in, name))) < 1e-3
    assert model.layout == built_in.layout
    assert model.expression_names == built_in.expression_names


def test_a_template_brings_its_own_shapes(tmp_path, built_in):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    kinds = ("identity", built_in.identity_basis, "ab"), ("expressions", built_in.expression_basis, "c")
    for kind, basis, names in kinds:
        (folder / kind).mkdir()
        for name, mode in zip(names, basis, strict=False):
            write_obj(folder / kind / f"{name}.obj", turned(built_in.mean_shape + mode), built_in.triangles)
    model = load_template(folder, built_in)
    np.testing.assert_allclose(model.identity_basis, built_in.identity_basis[:2], atol=1e-5)
    np.testing.assert_allclose(model.expression_basis, built_in.expression_basis[:1], atol=1e-5)
    assert model.expression_names == ("c",)
    # A model carried over to itself is itself.
    assert np.median(np.abs(model.albedo_basis - built_in.albedo_basis)) < 1e-3
    write_obj(folder / "identity" / "c.obj", built_in.mean_shape[:-1], built_in.triangles[:1])
    with pytest.raises(UserError, match="as the other meshes"):
        load_template(folder, built_in)


def test_what_a_template_does_not_use_is_left_out(tmp_path, built_in, capsys):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    plain = load_template(folder, built_in)
    capsys.readouterr()
    # A stray vertex first, so that all others move up by one; two triangles again, from behind; one collapsed.
    vertices = np.vstack([[1e3, 0, 0], turned(built_in.mean_shape)])
    extra = [*built_in.triangles[:2][:, ::-1], [3, 3, 4]]
    triangles = np.vstack([built_in.triangles, extra]) + 1
    write_obj(folder / "template.obj", vertices, triangles)
    marks = built_in.landmarks + 1
    (folder / FILE).write_text("\n".join(map(str, marks)))
    model = load_template(folder, built_in)
    np.testing.assert_array_equal(model.triangles, plain.triangles)
    np.testing.assert_array_equal(model.landmarks, plain.landmarks)
    np.testing.assert_allclose(model.mean_shape, plain.mean_shape, atol=1e-5)
    assert "left out 1 vertices that no polygon uses, 3 doubled or collapsed triangles" in capsys.readouterr().out
    (folder / FILE).write_text("\n".join(map(str, [0, *marks[1:]])))
    with pytest.raises(UserError, match="vertex 0, which no polygon uses"):
        load_template(folder, built_in)


def test_a_template_far_from_the_origin_keeps_its_detail(tmp_path, built_in):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    plain = load_template(folder, built_in)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in (turned(built_in.mean_shape).astype(np.float64) + 1e7).tolist()]
    corners = [f"f {a} {b} {c}" for a, b, c in built_in.triangles + 1]
    (folder / "template.obj").write_text("\n".join(lines + corners))
    np.testing.assert_allclose(load_template(folder, built_in).mean_shape, plain.mean_shape, atol=1e-5)


def test_wrong_templates_are_refused(tmp_path, built_in):
    folder = tmp_path / "mine"
    write_template(folder, built_in)
    marks = (folder / FILE).read_text()
    shuffled = np.random.default_rng(0).permutation(built_in.landmarks)
    for text, message in (
        ("\n".join(map(str, shuffled)), "as on a face"),
        ("1\n2\n3", "68 lines"),
        (marks.replace(str(built_in.landmarks[5]), "999999"), "within 0"),
        ("x y z", "68 lines"),
    ):
        (folder / FILE).write_text(text)
        with pytest.raises(UserError, match=message):
            load_template(folder, built_in)
    (folder / FILE).write_text(marks)
    write_obj(folder / "template.obj", turned(built_in.mean_shape), built_in.triangles[:, ::-1])
    with pytest.raises(UserError, match="counter-clockwise"):
        load_template(folder, built_in)
    (folder / FILE).unlink()
    with pytest.raises(UserError, match="own_face_model"):
        load_template(folder, built_in)


def test_landmarks_as_coordinates(tmp_path, built_in):
    (tmp_path / FILE).write_text("\n".join(" ".join(map(str, p)) for p in built_in.mean_shape[built_in.landmarks]))
    np.testing.assert_array_equal(read_landmarks(tmp_path / FILE, built_in.mean_shape), built_in.landmarks)


def test_landmarks_from_a_windows_editor(tmp_path, built_in):
    (tmp_path / FILE).write_text("\r\n".join(map(str, built_in.landmarks)), encoding="utf-8-sig", newline="")
    np.testing.assert_array_equal(read_landmarks(tmp_path / FILE, built_in.mean_shape), built_in.landmarks)


def test_landmarks_that_are_not_known_follow_the_others(built_in):
    wide = built_in.mean_shape * [1.1, 0.95, 1.0]
    known = {number: wide[built_in.landmarks[number]] for number in NAMED.values()}
    found = complete_landmarks("here", wide, known, built_in)
    assert np.linalg.norm(wide[found] - wide[built_in.landmarks], axis=1).max() < 0.1
    with pytest.raises(UserError, match="at least 6"):
        complete_landmarks("here", wide, {8: wide[0]}, built_in)


def test_polygons_of_any_size_and_counting_from_the_end(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv -1 0.5 0\nvt 0 0\nf 1/1/1 2/1 3/1\nf -5/1 -3/1 -2/1 -1/1\n")
    mesh = read_obj(path)
    assert {tuple(sorted(t)) for t in mesh.triangles.tolist()} == {(0, 1, 2), (0, 2, 3), (0, 3, 4)}
    assert mesh.uv is not None
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 4\n")
    with pytest.raises(UserError, match="use the 3 vertices"):
        read_obj(path)


def test_a_signal_carried_to_the_model_itself_stays(built_in):
    same = Correspondence(built_in.mean_shape, built_in.triangles, built_in.landmarks, built_in.mirror_index, built_in)
    np.testing.assert_allclose(same.matrix.sum(axis=1), 1.0, atol=1e-5)
    assert np.median(np.abs(same.carry(built_in.mean_albedo) - built_in.mean_albedo)) < 1e-3
    assert same.distance.max() < 0.05


def test_where_the_mesh_has_holes_lids_do_not_look_like_eyes(built_in):
    inside = built_in.regions["eye"] > 0.5
    triangles = built_in.triangles[~inside[built_in.triangles].any(axis=1)]
    match = Correspondence(built_in.mean_shape, triangles, built_in.landmarks, built_in.mirror_index, built_in)
    assert "eye" not in match.regions()
    assert "lips" in match.regions()


def test_photos_of_a_model_with_holes_have_eyes(built_in):
    from lib.synthetic.appearance.canonical import CanonicalFace
    from lib.synthetic.appearance.openings import RINGS, Openings

    inside = built_in.regions["eye"] > 0.5
    triangles = built_in.triangles[~inside[built_in.triangles].any(axis=1)]
    face = CanonicalFace(dataclasses.replace(built_in, triangles=triangles))
    assert Openings(CanonicalFace(built_in), built_in.triangles).count == 0
    openings = Openings(face, triangles)
    assert openings.count == 2
    part, colours, regions = openings.fill(face.points)
    assert len(part.vertices) == len(colours) == len(regions)
    assert len(part.vertices) % RINGS == 0
    # They face the camera, behind the lids and before the back of the head.
    a, b, c = (part.vertices[part.triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)[:, 2]
    assert (normals[np.abs(normals) > 1e-9] > 0).mean() > 0.9
    assert np.ptp(part.vertices[:, 2]) < 15
