"""Published face models: the files on which the validity of their cache depends, and arrays that lie in other files."""

import os

import h5py
import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model_files import published
from lib.face_model_files.formats.flame import find_flame, load_flame
from lib.face_model_files.formats.gnm import SPARSE, find_gnm
from lib.face_model_files.formats.statismo import find_statismo, load_statismo
from lib.face_model_files.formats.surrey import find_surrey
from lib.face_model_files.landmark_files import FILE, read_landmarks
from lib.face_model_files.published import form_of, known_forms, load_published
from tests.support.faces import built_in_face
from tests.support.published_files.other_files import corners_of, write_flame, write_statismo

VARIANCE = "shape/model/pcaVariance"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "gnm_head.npz").write_bytes(b"arrays")
    return tmp_path / "model"


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_hidden_and_unfinished_files_do_not_count(folder, whole):
    path = folder if whole else folder / "gnm_head.npz"
    before = published._digest(path)
    (folder / ".regressor-unfinished-1f2e.npz").write_bytes(b"half")
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_bytes(b"another program's")
    assert published._digest(path) == before
    (folder / "landmarks.txt").write_text("1")
    assert published._digest(path) != before


def test_a_hidden_folder_may_hold_the_model(folder):
    hidden = folder.rename(folder.with_name(".model"))
    before = published._digest(hidden)
    (hidden / "gnm_head.npz").write_bytes(b"other arrays")
    assert published._digest(hidden) != before


def test_a_file_that_vanishes_meanwhile_does_not_count(folder, monkeypatch):
    before = published._digest(folder)
    monkeypatch.setattr(published, "_files", lambda path: [folder / "gnm_head.npz", folder / "vanished"])
    assert published._digest(folder) == before


@pytest.fixture(scope="module")
def built_in():
    return built_in_face(2000)


def link(data, name, values):
    data[name] = h5py.ExternalLink("other.h5", "/x")


def link_of_a_folder(data, name, values):
    folder = name.rpartition("/")[0]
    del data[folder]
    data[folder] = h5py.ExternalLink("other.h5", "/folder")


def storage(data, name, values):
    data.create_dataset(name, values.shape, "f8", external=[("other.raw", 0, values.nbytes)])


def virtual(data, name, values):
    layout = h5py.VirtualLayout(values.shape, "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", values.shape)
    data.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("elsewhere", [link, link_of_a_folder, storage, virtual])
def test_arrays_in_other_files_are_refused(tmp_path, built_in, elsewhere, monkeypatch):
    """HDF5 would read whatever the file names."""
    monkeypatch.chdir(tmp_path)
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File("model.h5", "r+") as data, h5py.File("other.h5", "w") as other:
        values = np.asarray(data[VARIANCE], "f8")
        other["x"] = values
        data.copy("shape/model", other, "folder")
        values.tofile("other.raw")
        del data[VARIANCE]
        elsewhere(data, VARIANCE, values)
    with pytest.raises(UserError, match=r"model\.h5: must hold 'shape/model/\w+' itself, got one in another file"):
        load_statismo(tmp_path / "model.h5", built_in)


def soft(data, *chain):
    """Moves what is at the last of the names' end to a folder of its own, and links to it by all names in turn."""
    data.move(chain[0], "stored")
    for name, target in zip(chain, [*chain[1:], "/stored"], strict=True):
        data[name] = h5py.SoftLink(target)


def test_links_within_the_file_are_followed(tmp_path, built_in):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    wanted = load_statismo(tmp_path / "model.h5", built_in)
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        soft(data, VARIANCE, *(f"/link{i}" for i in range(6)))
        data.move("shape", "parts/shape")
        data["shape"] = h5py.SoftLink("./parts/shape")
    found = load_statismo(tmp_path / "model.h5", built_in)
    np.testing.assert_array_equal(found.mean_shape, wanted.mean_shape)
    assert found.fingerprint == wanted.fingerprint


@pytest.mark.parametrize("chain", [("/shape/model/pcaVariance",), ("/away",), ("/nothing",)])
def test_links_within_the_file_that_lead_nowhere_or_out_of_it_are_refused(tmp_path, built_in, chain):
    """In a circle, through a link to another file, or to no array."""
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        del data[VARIANCE]
        data[VARIANCE] = h5py.SoftLink(chain[0])
        data["away"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    with pytest.raises(UserError, match=r"model\.h5: must hold 'shape/model/pcaVariance'"):
        load_statismo(tmp_path / "model.h5", built_in)


@pytest.mark.parametrize("name", ["shape/representer/cells", "expression", "metadata/landmarks/json"])
def test_a_link_to_a_pipe_does_not_hang(tmp_path, built_in, name):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        del data[name]
        data[name] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    with pytest.raises(UserError, match=r"model\.h5: must hold '.*' itself, got one in another file"):
        load_statismo(tmp_path / "model.h5", built_in)


def test_a_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path, built_in):
    write_statismo(tmp_path / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    with h5py.File(tmp_path / "model.h5", "r+") as data:
        del data[VARIANCE]
        data.create_dataset(VARIANCE, (4,), "f8", chunks=(2**28,), maxshape=(None,), compression="gzip")
    with pytest.raises(UserError, match=r"model\.h5: .*declare 2,147,483,648"):
        load_statismo(tmp_path / "model.h5", built_in)


def with_a_far_vertex(model):
    """Vertices and triangles of a head with four more vertices at its back: three of a triangle, one of none."""
    back = [[0, 0, -2], [5, 0, -2], [0, 5, -2], [0, 0, -2.1]]
    far = model.vertex_count
    return np.concatenate([model.mean_shape, back]), np.concatenate([model.triangles, [[far, far + 1, far + 2]]])


@pytest.mark.parametrize(
    ("beyond", "message"), [(0, "must lie on the face, got landmark 5 on vertex"), (3, "no polygon")]
)
def test_a_landmark_on_a_vertex_that_is_dropped_is_refused(tmp_path, built_in, beyond, message):
    vertices, triangles = with_a_far_vertex(built_in)
    directions = np.zeros((len(vertices), 3, 400), np.float32)
    np.savez(tmp_path / "flame.npz", v_template=vertices / 10, shapedirs=directions, f=triangles)
    marks = built_in.landmarks.copy()
    marks[5] = built_in.vertex_count + beyond
    (tmp_path / FILE).write_text("\n".join(map(str, marks)))
    with pytest.raises(UserError, match=message):
        load_flame(tmp_path, built_in)


def test_landmarks_are_found_on_vertices_that_polygons_use(tmp_path, built_in):
    vertices = np.concatenate([built_in.mean_shape, built_in.mean_shape[built_in.landmarks]])
    directions = np.zeros((len(vertices), 3, 400), np.float32)
    marks = corners_of(built_in, 0)
    np.savez(tmp_path / "flame.npz", v_template=vertices / 10, shapedirs=directions, f=built_in.triangles, **marks)
    np.testing.assert_array_equal(load_flame(tmp_path, built_in).landmarks, built_in.landmarks)
    (tmp_path / FILE).write_text("\n".join(" ".join(map(str, p / 10)) for p in built_in.mean_shape[built_in.landmarks]))
    np.testing.assert_array_equal(load_flame(tmp_path, built_in).landmarks, built_in.landmarks)


def test_suffixes_in_capitals_count_and_hidden_files_do_not(tmp_path, built_in):
    for folder in "abc":
        (tmp_path / folder).mkdir()
    write_statismo(tmp_path / "a" / "MODEL.H5", built_in, np.zeros_like(built_in.mean_shape))
    write_flame(tmp_path / "b" / "flame.npz", built_in)
    (tmp_path / "b" / "flame.npz").rename(tmp_path / "b" / "FLAME.NPZ")
    (tmp_path / "c" / "sfm_shape_3448.BIN").touch()
    for hidden in ("a/._MODEL.H5", "b/._FLAME.NPZ", "c/._sfm_shape_3448.BIN"):
        (tmp_path / hidden).touch()
    assert find_statismo(tmp_path / "a") == tmp_path / "a" / "MODEL.H5"
    assert find_flame(tmp_path / "b") == tmp_path / "b" / "FLAME.NPZ"
    assert find_surrey(tmp_path / "c") == tmp_path / "c" / "sfm_shape_3448.BIN"
    for file in ("a/MODEL.H5", "b/FLAME.NPZ", "c/sfm_shape_3448.BIN"):
        assert form_of(tmp_path / file) is not None


def test_landmarks_of_flame_that_are_texts_are_refused(tmp_path, built_in):
    write_flame(
        tmp_path / "flame.npz", built_in, **(corners_of(built_in, 0) | {"full_lmk_faces_idx": np.full(68, "x")})
    )
    with pytest.raises(UserError, match=r"'full_lmk_faces_idx' must be integers .*got <U1 and float64"):
        load_flame(tmp_path, built_in)


def test_landmarks_of_a_mesh_are_read_like_those_of_a_photo(tmp_path, built_in):
    points = built_in.mean_shape[built_in.landmarks]
    (tmp_path / FILE).write_text("x, y, z\n" + "\n".join(", ".join(map(str, point)) for point in points))
    np.testing.assert_array_equal(read_landmarks(tmp_path / FILE, built_in.mean_shape), built_in.landmarks)
    (tmp_path / FILE).write_text("\n".join(map(str, built_in.landmarks)), encoding="utf-16")
    np.testing.assert_array_equal(read_landmarks(tmp_path / FILE, built_in.mean_shape), built_in.landmarks)
    (tmp_path / FILE).write_text("12 a\n" * 68)
    with pytest.raises(UserError, match=r"landmarks\.txt: must have 68 lines.*numbers and words in one line"):
        read_landmarks(tmp_path / FILE, built_in.mean_shape)


def test_a_pickle_beside_another_model_does_not_make_it_flames(tmp_path):
    names = ("template_vertex_positions", "vertex_identity_basis")
    np.savez(tmp_path / "gnm_head.npz", **{name: np.zeros(1) for name in names})
    (tmp_path / "notes.pkl").touch()
    assert form_of(tmp_path).recognise(tmp_path / "gnm_head.npz")
    assert find_gnm(tmp_path) is not None
    assert "GNM" in form_of(tmp_path).description


def test_the_table_of_landmarks_in_a_clone_of_gnm_counts(tmp_path, monkeypatch):
    folder = tmp_path / "versions" / "v3_0"
    folder.mkdir(parents=True)
    names = ("template_vertex_positions", "vertex_identity_basis")
    np.savez(folder / "gnm_head.npz", **{name: np.zeros(1) for name in names})
    table = tmp_path / "landmarks" / SPARSE
    table.parent.mkdir()
    seen = []
    monkeypatch.setattr(published.FaceModel, "cached", lambda path, make: seen.append(path))
    for text in ("1", "1 2", "1 2"):
        table.write_text(text)
        os.utime(table, ns=(1, 1))
        for path in (folder, folder / "gnm_head.npz"):
            load_published(path, tmp_path)
    assert seen[0] != seen[2]
    assert seen[1] != seen[3]
    assert seen[2:4] == seen[4:]


@pytest.mark.parametrize("order", [np.random.default_rng(0).permutation(68), np.roll(np.arange(68), 17)])
def test_landmarks_in_another_order_are_refused_in_every_form(tmp_path, built_in, order):
    """Warped by them, the wrong part of the head would be kept, with colours from wrong places."""
    (tmp_path / "flame").mkdir()
    write_flame(tmp_path / "flame" / "flame.npz", built_in)
    (tmp_path / "basel").mkdir()
    write_statismo(tmp_path / "basel" / "model.h5", built_in, np.zeros_like(built_in.mean_shape))
    for folder, load in (("flame", load_flame), ("basel", load_statismo)):
        (tmp_path / folder / FILE).write_text("\n".join(map(str, built_in.landmarks[order])))
        with pytest.raises(UserError, match="landmarks must lie as on a face, within 25 mm"):
            load(tmp_path / folder, built_in)
        (tmp_path / folder / FILE).write_text("\n".join(map(str, built_in.landmarks)))
        np.testing.assert_array_equal(load(tmp_path / folder, built_in).landmarks, built_in.landmarks)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            lambda a: {"v_template": 1000 * a["v_template"]},
            r"got 9\d\d\.\d after conversion \(multiply all .* by 0\.001\)",
        ),
        (lambda a: {"f": a["f"][:, ::-1]}, r"triangles must be counter-clockwise .* reverse every row"),
        (lambda a: {"v_template": a["v_template"][:, [1, 0, 2]] * [1, -1, 1]}, "got one turned by 90 degrees"),
    ],
    ids=["millimetres", "inside out", "lying"],
)
def test_a_converted_model_in_other_conventions_is_refused(tmp_path, built_in, changed, message):
    """FLAME's users convert its file themselves; other tools write other units."""
    write_flame(tmp_path / "right.npz", built_in, **corners_of(built_in, 0))
    with np.load(tmp_path / "right.npz") as data:
        arrays = dict(data)
    (tmp_path / "wrong").mkdir()
    np.savez(tmp_path / "wrong" / "flame.npz", **arrays | changed(arrays))
    with pytest.raises(UserError, match=rf"flame\.npz: .*{message}"):
        load_published(tmp_path / "wrong" / "flame.npz", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("flame-*"))


def test_a_folder_with_models_of_which_none_is_meant_names_them(tmp_path, built_in):
    """Two of a kind, or this program's own form, which has no folder."""
    (tmp_path / "two").mkdir()
    (tmp_path / "own").mkdir()
    for name in ("a.h5", "b.h5"):
        (tmp_path / "two" / name).touch()
    built_in.save(tmp_path / "own" / "model.npz")
    for folder, names in (("two", "a.h5, b.h5"), ("own", "model.npz")):
        with pytest.raises(UserError, match=rf"{folder}: must be .*, got a folder with {names} \(is one of them"):
            load_published(tmp_path / folder, tmp_path / "cache")


def test_what_is_no_model_is_told_all_forms(tmp_path):
    with pytest.raises(UserError, match=r"ICT-FaceKit.*template\.obj.*FLAME"):
        load_published(tmp_path, tmp_path / "cache")
    assert "Basel Face Model 2017" in known_forms()
