"""Published face models: the files on which the validity of their cache depends, and arrays that lie in other files."""

import h5py
import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model_files import published
from lib.face_model_files.formats.statismo import load_statismo
from tests.support.faces import built_in_face
from tests.support.published_files.other_files import write_statismo

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
