"""PyTorch checkpoints are read without PyTorch, and nothing in them is run."""

import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from lib.errors import UserError
from lib.network_files.torch_files import TorchCheckpoint
from tests.support.published_files.torch_writer import View, save_torch

DIRECTORY_ENTRY = b"PK\x01\x02"  # how an entry of a zip file's directory begins


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
        (lambda path: path.unlink() or path, "got no such file"),
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


def forged(path, change):
    """The archive with the entries of its directory, the part at the end that readers believe, passed through `change`.

    An entry is (size stored, size, flags); what lies in front of the directory stays as it was.
    """
    data = bytearray(path.read_bytes())
    at = data.find(DIRECTORY_ENTRY)
    while at >= 0:
        flags, sizes = struct.unpack_from("<H", data, at + 8), struct.unpack_from("<II", data, at + 20)
        length = struct.unpack_from("<H", data, at + 28)[0]
        name = bytes(data[at + 46 : at + 46 + length]).decode()
        stored, size, flag = change(name, *sizes, *flags)
        struct.pack_into("<H", data, at + 8, flag)
        struct.pack_into("<II", data, at + 20, stored, size)
        at = data.find(DIRECTORY_ENTRY, at + 1)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("stored", "message"),
    [(False, "as PyTorch saves it, got another archive"), (True, "as PyTorch saves it, got a damaged one")],
)
def test_a_directory_that_promises_more_than_there_is_gives_no_memory_of_others(tmp_path, stored, message):
    path = save_torch(tmp_path / "a.pth", {"x": View(np.zeros(4, np.float32), 0, (2**16,), (1,))})
    with zipfile.ZipFile(path) as archive:
        told = archive.read("archive/data.pkl").replace(b"K\x04", b"J\x00\x00\x01\x00", 1)

    def promise(name, stored_size, size, flags):
        return (2**18 if stored else stored_size, 2**18, flags) if "/data/" in name else (stored_size, size, flags)

    with pytest.raises(UserError, match=message) as caught:
        TorchCheckpoint(forged(rewritten(path, data_pkl=told), promise)).arrays()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_written_again_meanwhile_gives_no_memory_of_others(tmp_path):
    checkpoint = TorchCheckpoint(save_torch(tmp_path / "a.pth", {"x": np.zeros(2**16, np.float32)}))
    save_torch(tmp_path / "a.pth", {"x": np.zeros(4, np.float32)})
    with pytest.raises(UserError, match="got a storage of 16 bytes for the 65,536 of 'x'"):
        checkpoint.arrays()


def test_an_encrypted_storage_is_refused_in_one_line(tmp_path):
    path = save_torch(tmp_path / "a.pth", {"x": np.zeros(4, np.float32)})
    path = forged(path, lambda name, stored, size, flags: (stored, size, flags | ("/data/" in name)))
    with pytest.raises(UserError, match="got a damaged one") as caught:
        TorchCheckpoint(path).arrays()
    assert "\n" not in str(caught.value)


def test_views_of_one_storage_may_not_fill_the_memory(tmp_path):
    storage = np.zeros(2**14, np.float32)
    content = {f"x{i}": View(storage, 0, (2**14,), (1,)) for i in range(9)}
    checkpoint = TorchCheckpoint(save_torch(tmp_path / "a.pth", content))
    with pytest.raises(UserError, match="tensors that share storages and take over 4 times the file's size"):
        checkpoint.arrays()


def test_a_storage_that_views_share_is_read_once(tmp_path, monkeypatch):
    storage, reads, read = np.zeros(2**12, np.float32), [], zipfile.ZipFile.read
    content = {f"x{i}": View(storage, i, (4,), (1,)) for i in range(9)}
    checkpoint = TorchCheckpoint(save_torch(tmp_path / "a.pth", content))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, name: reads.append(name) or read(self, name))
    assert len(checkpoint.arrays()) == 9
    assert reads == ["archive/data/0"]


@pytest.mark.parametrize("kind", ["doubled", "numbered", "called"])
def test_objects_whose_hash_would_take_for_ever_are_refused(tmp_path, kind):
    """Each holds the one before twice, and the last is a key."""

    def level(number: int) -> bytes:
        put, get = b"q" + bytes([number]), b"h" + bytes([number])
        called = put + b"ctorch._utils\n_rebuild_tensor_v2\n(" + 4 * get + b"tR"
        return {"doubled": b"2\x86", "numbered": put + get + b"\x86", "called": called}[kind]

    content = b"\x80\x02})" + b"".join(map(level, range(100))) + b"Ns."
    path = rewritten(save_torch(tmp_path / "a.pth", {}), data_pkl=content)
    with pytest.raises(UserError, match="tuples nested more than 16 times"):
        TorchCheckpoint(path)


@pytest.mark.parametrize("number", [b"r\xff\xff\xff\x7f", b"q\x01", b"p9\n"])
def test_a_pickle_that_numbers_its_objects_with_gaps_is_refused(tmp_path, number):
    """The memory for objects reaches to the largest number."""
    path = save_torch(tmp_path / "a.pth", {"x": np.zeros(4, np.float32)})
    with pytest.raises(UserError, match=r"object [0-9,]+ after 0 others"):
        TorchCheckpoint(rewritten(path, data_pkl=b"\x80\x02}" + number + b"."))
