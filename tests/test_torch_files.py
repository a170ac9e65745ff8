"""PyTorch checkpoints are read without PyTorch, and nothing in them is run."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from lib.torch_files import TorchCheckpoint
from tests.torch_writer import View, save_torch
from utils import UserError


def test_what_was_saved_is_read(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    content = {
        "net": {"weight": numbers, "half": numbers[0].astype(np.float16), "count": np.array(7), "empty": numbers[:0]},
        "epoch": 20,
    }
    found = TorchCheckpoint(save_torch(tmp_path / "a.pth", content)).arrays("net")
    assert list(found) == ["weight", "half", "count", "empty"]
    for name, array in content["net"].items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
    assert TorchCheckpoint(tmp_path / "a.pth").arrays() == {}


def test_tensors_may_share_a_storage_and_be_turned(tmp_path):
    storage = np.arange(12, dtype=np.float32)
    content = {"turned": View(storage, 0, (4, 3), (1, 4)), "part": View(storage, 5, (2, 2), (4, 1))}
    found = TorchCheckpoint(save_torch(tmp_path / "a.pth", content)).arrays()
    np.testing.assert_array_equal(found["turned"], storage.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], storage.reshape(3, 4)[1:, 1:3])


class Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_does_more_is_not_run(tmp_path):
    path = save_torch(tmp_path / "a.pth", {"net": Touches(tmp_path / "made")})
    with pytest.raises(UserError, match=r"must hold tensors only, got the name \w+\.mkdir"):
        TorchCheckpoint(path)
    assert not (tmp_path / "made").exists()
    with zipfile.ZipFile(path) as archive:
        pickle.loads(archive.read("archive/data.pkl"))
    assert (tmp_path / "made").exists(), "the same pickle does do it when it is run"


def test_a_view_beyond_its_storage_is_refused(tmp_path):
    storage = np.zeros(12, np.float32)
    for view in (
        View(storage, 1, (12,), (1,)), View(storage, 0, (4, 4), (4, 1)), View(storage, 0, (2**40,), (0,)),
        View(storage, -1, (2,), (1,)), View(storage, 0, (2,), ("1",)), View(storage, 0, "ab", (1, 1)),
    ):  # fmt: skip
        checkpoint = TorchCheckpoint(save_torch(tmp_path / "a.pth", {"x": view}))
        with pytest.raises(UserError, match="'x'"):
            checkpoint.arrays()


def rewritten(path, **members):
    """The archive with other contents of members, by the last part of their names; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            data = members.get(name.rpartition("/")[2].replace(".", "_"), data)
            if data is not None:
                archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b"no archive") and path, "file of another kind"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]) and path, "file of another kind"),
        (lambda path: path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.rest") and path, "before 1.6"),
        (lambda path: rewritten(path, data_pkl=None), "another archive"),
        (lambda path: rewritten(path, byteorder=b"big"), "big-endian"),
        (lambda path: rewritten(path, data_pkl=b"\x80\x02}q\x00"), "a pickle of something else"),
        (lambda path: rewritten(path, data_pkl=pickle.dumps([1, 2])), "with a dictionary of tensors, got list"),
        (lambda path: path.unlink() or path, "got nothing there"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, change, message):
    path = change(save_torch(tmp_path / "a.pth", {"x": np.zeros(4, np.float32)}))
    with pytest.raises(UserError, match=message) as caught:
        TorchCheckpoint(path).arrays()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_storage_that_is_cut_short_is_refused(tmp_path):
    path = save_torch(tmp_path / "a.pth", {"x": np.zeros(4, np.float32)})
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if "/data/" in name)
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data[:8] if name == member else data)
    with pytest.raises(UserError, match="a storage of 8 bytes for the 4 of 'x'"):
        TorchCheckpoint(path).arrays()


def test_a_dictionary_that_is_not_there_is_told_with_those_that_are(tmp_path):
    path = save_torch(tmp_path / "a.pth", {"net_a": {"x": np.zeros(1, np.float32)}, "net_b": {}})
    with pytest.raises(UserError, match="with 'net_recon' in it, got net_a, net_b"):
        TorchCheckpoint(path).arrays("net_recon")
