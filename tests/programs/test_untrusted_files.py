"""Files made to do harm, through the commands that open them: one line, exit code 2, nothing run, nothing written."""

import io
import json
import pickle
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import create_bin
import main
from lib.errors import UserError
from lib.face_image.quality import Unusable
from lib.files.file_names import name_fault
from lib.files.numpy_files import DamagedFile, read_npy, read_npz
from lib.mesh_sampling import load_or_build
from lib.mesh_sampling.storage import load_hierarchy
from lib.records.packing import pack
from lib.records.record_file import MAGIC, RecordReader
from lib.records.record_writer import RecordWriter
from lib.sidecar.sidecar_files import given_landmarks
from tests.support.programs.one_line import is_empty_but_for, one_line

TRIANGLES = np.array([[0, 1, 2], [1, 3, 2]])


class Touches:
    """Unpickling it makes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def npy(array, shape=None) -> bytes:
    """An .npy, which may declare another shape than it has."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": array.dtype.str, "fortran_order": False, "shape": shape or array.shape}
    )
    return stream.getvalue() + array.tobytes()


def archive(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in members.items():
            target.writestr(f"{name}.npy", content)
    return path


def pickled(path, target):
    np.savez(path, mean_shape=np.array([Touches(target)], dtype=object), allow_pickle=True)
    return path


def bomb(path):
    """Half a megabyte that unpacks to 128."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.writestr("mean_shape.npy", npy(np.zeros(2**27, np.uint8)))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: pickled(path, path.with_name("touched")), "pickled Python objects"),
        (bomb, r"bytes declare 134,217,8"),
        (lambda path: archive(path, mean_shape=npy(np.zeros(3), (2**50, 3))), "declares 27,021,597,764,222,976 bytes"),
        (lambda path: archive(path, **{"../../mean_shape": b"x"}), "must be a NumPy array"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no archive") and path, "a damaged archive"),
    ],
    ids=["pickle", "bomb", "announced shape", "no array", "no archive"],
)
def test_a_face_model_that_is_no_plain_archive_of_arrays_is_refused(tmp_path, make, message, capsys):
    path = make(tmp_path / "face.npz")
    arguments = [f"face_model.source={path}", "--root_dir", tmp_path, "--mode", "pretrain"]
    line = one_line(main.main, arguments, capsys)
    assert str(path) in line
    assert message in line
    assert is_empty_but_for(tmp_path, path)


def test_the_pickle_of_that_test_does_touch_its_file_when_it_is_read(tmp_path):
    with np.load(pickled(tmp_path / "p.npz", tmp_path / "touched"), allow_pickle=True) as data:
        assert data["mean_shape"].shape == (1,)
    assert (tmp_path / "touched").exists()


def test_no_module_of_the_program_reads_numpy_files_but_the_one_that_checks_them():
    from tests.support.helpers import ROOT

    sources = [*ROOT.glob("*.py"), *(ROOT / "lib").rglob("*.py"), *(ROOT / "model").rglob("*.py")]
    calls = ("np.load(", ".read_array(")
    readers = [path.name for path in sources if any(call in path.read_text(encoding="utf-8") for call in calls)]
    assert readers == ["numpy_files.py"]


def test_what_is_read_is_what_was_written(tmp_path):
    half = np.asfortranarray(np.eye(3, dtype=np.float16))
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": half, "c": np.array("x")}
    np.savez_compressed(tmp_path / "x.npz", **arrays, constant=np.zeros(2**20))
    found = read_npz(tmp_path / "x.npz")
    assert list(found) == ["a", "b", "c", "constant"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    np.save(tmp_path / "x.npy", arrays["b"])
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), arrays["b"])
    with pytest.raises(DamagedFile, match="no array"):
        read_npz(tmp_path / "x.npz", ["d"])


def test_archives_whose_parts_overlap_or_come_twice_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_STORED) as target:
        target.writestr("a.npy", npy(np.zeros(1000)))
        entry = target.infolist()[0]
        for i in range(3):
            other = zipfile.ZipInfo(f"{i}.npy")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(other, name, getattr(entry, name))
            target.filelist.append(other)
    with pytest.raises(DamagedFile, match="overlap"):
        read_npz(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as target:
        target.writestr("a.npy", npy(np.zeros(1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("a.npy", npy(np.zeros(1)))
    with pytest.raises(DamagedFile, match="two arrays of one name"):
        read_npz(tmp_path / "y.npz")


def test_a_hierarchy_of_pickled_matrices_is_refused(tmp_path):
    vertices = np.random.default_rng(0).normal(size=(4, 3))
    for name in ("laplacians0", "adjacency0"):
        pickled(tmp_path / f"{name}.npz", tmp_path / "touched")
    with pytest.raises(UserError, match="pickled"):
        load_hierarchy(tmp_path, vertices, TRIANGLES, ())
    with pytest.raises(UserError, match="pickled"):
        load_or_build(tmp_path, vertices, TRIANGLES, ())
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [pickle.dumps([1.0] * 10), npy(np.zeros(10), (2**48, 2)), b"PK\x03\x04"])
def test_landmarks_beside_a_photo_that_are_no_numbers_are_refused(tmp_path, content):
    (tmp_path / "face.npy").write_bytes(content)
    with pytest.raises(Unusable, match="must hold 5, 68 or 468 points"):
        given_landmarks(tmp_path / "face.jpg", (100, 100))


@pytest.mark.parametrize(
    "name", ["../up.png", "a/../../up.png", "/etc/passwd", "C:\\x.png", "c:x", "..\\up.png", "a\0b.png", "", None, 7]
)
def test_names_that_lead_out_of_a_folder_are_seen(name):
    assert name_fault(name)


@pytest.mark.parametrize("name", ["face_000001.png", "folder/a..b.png", "räksmörgås 5:3.png", "...png"])
def test_ordinary_names_pass(name):
    assert name_fault(name) is None


def record_file(path, **changes):
    """A whole record file with forged fields: its checksums are those of what it says."""
    names = changes.pop("names", ["a.png"])
    with RecordWriter(path, (32, 32, 4)) as writer:
        writer.append(np.full((32, 32, 4), 255, np.uint8), "a.png")
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    header = json.loads(content[20 : 20 + length])
    index = struct.pack("<I", zlib.crc32(bytes([255]) * 4096)) + json.dumps(names).encode()
    body = content[: header["offset"] + 4096] + index
    header |= {"file_size": len(body), "index_length": len(index), "index_crc32": zlib.crc32(index)} | changes
    text = json.dumps(header).encode()
    preamble = struct.pack("<8s3I", MAGIC, 1, len(text), zlib.crc32(text)) + text
    path.write_bytes(preamble.ljust(4096, b"\0") + body[4096:])
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["../../a.png"]}, "a file name must stay within its folder, got '../../a.png'"),
        ({"names": ["a.png", "b.png"]}, "must name each of the 1 records"),
        ({"names": {"a": 1}}, "must name each of the 1 records"),
        ({"shape": [2**40, 2**40, 4]}, "header must give shape"),
        ({"count": 2**50}, "must fill it"),
        ({"offset": -5}, "header must give shape"),
        ({"index_length": "9"}, "header must give shape"),
        ({"index_length": 2**40}, "must fill it"),
        ({"offset": 0}, "header must give shape"),
    ],
)
def test_a_forged_record_file_is_refused_by_every_program(tmp_path, changes, message, capsys):
    path = record_file(tmp_path / "data" / "x.bin", **changes)
    assert message in one_line(create_bin.main, ["--verify", path], capsys)
    arguments = ["--input", path, "--output", tmp_path / "y.bin", "--img_size", 32]
    assert message in one_line(create_bin.main, arguments, capsys)
    assert message in one_line(main.main, ["--root_dir", tmp_path, "--name", "x", "--img_size", 32], capsys)
    assert is_empty_but_for(tmp_path, path)


def test_a_record_file_that_announces_a_huge_header_is_refused(tmp_path, capsys):
    path = tmp_path / "x.bin"
    path.write_bytes(struct.pack("<8s3I", MAGIC, 1, 2**32 - 1, 0) + bytes(100))
    assert "header must match its checksum" in one_line(create_bin.main, ["--verify", path], capsys)
    text = b"[" * 100_000
    path.write_bytes(struct.pack("<8s3I", MAGIC, 1, len(text), zlib.crc32(text)) + text)
    assert "must be JSON" in one_line(create_bin.main, ["--verify", path], capsys)


def test_an_unforged_record_file_is_read_and_the_manifest_never_is(tmp_path):
    path = record_file(tmp_path / "x.bin")
    (tmp_path / "x.manifest.json").write_text(json.dumps({"names": ["../../up.png"], "file": "/etc/passwd"}))
    reader = RecordReader(path)
    assert reader.names == ["a.png"]
    assert reader[0].min() == 255


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_crops_whose_names_would_be_paths_elsewhere_are_left_out(tmp_path):
    from PIL import Image

    from lib.records.packing import PngFolder

    for name in ("good.png", "..\\..\\up.png"):
        Image.new("RGBA", (8, 8), (9, 9, 9, 255)).save(tmp_path / name)
    source = PngFolder(tmp_path, ["..\\..\\up.png", "good.png"], 8)
    result = pack(source, tmp_path / "out" / "x.bin", 1, False, 0.0)
    assert result.names == ["good.png"]
    assert "must stay within its folder" in result.left_out["..\\..\\up.png"]


def test_a_journal_of_crops_elsewhere_deletes_nothing(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    keep = tmp_path / "keep.png"
    keep.write_bytes(b"x")
    (tmp_path / "out").mkdir()
    record = {"photo": "gone.png", "key": "", "crops": [{"file": "../../keep.png"}], "left_out": []}
    lines = [json.dumps({"source": str(tmp_path / "photos")}), json.dumps(record)]
    (tmp_path / "out" / "progress.jsonl").write_text("\n".join(lines) + "\n")
    arguments = ["--mode", "prepare", "--input", tmp_path / "photos", "--output", tmp_path / "out"]
    assert "crops must lie in crops/" in one_line(main.main, arguments, capsys)
    assert keep.exists()


def basel(folder, **arrays):
    folder.mkdir()
    scipy.io.savemat(folder / "BFM_model_front.mat", arrays, do_compression=True)
    return folder / "BFM_model_front.mat"


def test_a_mat_file_with_function_handles_or_objects_is_refused(tmp_path, capsys):
    path = basel(tmp_path / "bfm", meanshape=np.zeros((1, 9)))
    for number, kind in {3: "object", 16: "function", 17: "opaque"}.items():
        scipy.io.savemat(path, {"evil": np.zeros((1, 1))}, do_compression=False)
        content = bytearray(path.read_bytes())
        assert content[144] == 6  # the class of the first array: double
        content[144] = number
        path.write_bytes(content)
        arguments = ["--mode", "pretrain", f"face_model.source={path.parent}", "--root_dir", tmp_path]
        line = one_line(main.main, arguments, capsys)
        assert f"({kind}), which can run code" in line
    assert is_empty_but_for(tmp_path, path)


def test_a_mat_file_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path, capsys):
    path = basel(tmp_path / "bfm", meanshape=np.zeros((1, 9_000_000)))
    arguments = ["--mode", "pretrain", f"face_model.source={path.parent}", "--root_dir", tmp_path]
    assert "bytes declare 72,000,0" in one_line(main.main, arguments, capsys)
