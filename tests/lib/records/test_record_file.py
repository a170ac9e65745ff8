"""The record file: round trips, random access, damage, killed and failing writers, the original's format."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lib.errors import UserError
from lib.files import atomic
from lib.records import record_index
from lib.records.record_file import MAGIC, RecordReader
from lib.records.record_index import write_index
from lib.records.record_writer import RecordWriter
from tests.support.helpers import ROOT


def images(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 4), np.uint8)


def write(path: Path, records: np.ndarray, **metadata) -> Path:
    with RecordWriter(path, records.shape[1:], metadata) as writer:
        for i, record in enumerate(records):
            writer.append(record, f"ünï/{i:03d}.png")
    return path


def test_round_trip_in_any_order(tmp_path):
    records = images(7)
    reader = RecordReader(write(tmp_path / "a.bin", records, source="here", nested={"k": [1, 2]}))
    assert len(reader) == 7
    assert reader.shape == (8, 8, 4)
    assert reader.metadata == {"source": "here", "nested": {"k": [1, 2]}}
    assert reader.names == [f"ünï/{i:03d}.png" for i in range(7)]
    for i in (3, 0, 6, -1):
        np.testing.assert_array_equal(reader[i], records[i])
    np.testing.assert_array_equal(reader.batch([5, 1, 5]), records[[5, 1, 5]])
    np.testing.assert_array_equal(np.stack(list(reader)), records)
    assert reader.indices(["ünï/004.png", "ünï/002.png"]) == [4, 2]
    assert reader.verify() == []
    with pytest.raises(IndexError, match=r"in \[0, 7\), got 7"):
        reader[7]
    with pytest.raises(UserError, match="got none of 'x'"):
        reader.indices(["ünï/004.png", "x"])


def test_a_record_is_a_copy(tmp_path):
    reader = RecordReader(write(tmp_path / "a.bin", images(2)))
    reader[0][:] = 0
    np.testing.assert_array_equal(reader[0], images(2)[0])


def test_large_metadata_and_no_records(tmp_path):
    path = tmp_path / "a.bin"
    with RecordWriter(path, (4, 4, 4), {"text": "é" * 20000}):
        pass
    reader = RecordReader(path)
    assert len(reader) == 0
    assert reader.metadata["text"] == "é" * 20000
    assert reader.verify() == []


@pytest.mark.parametrize(
    ("record", "name", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), "x", r"x: record must be uint8 \(8, 8, 4\), got uint8 \(8, 8, 3\)"),
        (np.zeros((8, 8, 4)), "x", "got float64"),
        (np.zeros((8, 8, 4), np.uint8), "first", "names must be unique, got 'first' twice"),
    ],
)
def test_a_wrong_record_is_refused_and_leaves_the_old_file(tmp_path, record, name, message):
    path = write(tmp_path / "a.bin", images(2))
    before = path.read_bytes()

    def overwrite():
        with RecordWriter(path, (8, 8, 4)) as writer:
            writer.append(np.zeros((8, 8, 4), np.uint8), "first")
            writer.append(record, name)

    with pytest.raises(ValueError, match=message):
        overwrite()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.bin"]


def damaged_records(path: Path) -> list[int] | str:
    """The damaged records' indices, or the message with which the file is refused."""
    try:
        return RecordReader(path).verify()
    except UserError as error:
        return str(error)


def test_every_single_flipped_byte_is_noticed(tmp_path):
    path = write(tmp_path / "a.bin", images(3, size=4))
    original = path.read_bytes()
    start = original.index(images(3, size=4)[0].tobytes())
    for position in (p for p in range(len(original)) if p < 500 or p > start - 5 or p % 41 == 0):
        damaged = bytearray(original)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        found = damaged_records(path)
        if start <= position < start + 3 * 64:
            assert found == [(position - start) // 64], f"byte {position}"
        else:
            assert isinstance(found, str), f"byte {position}"
            assert "\n" not in found


def test_reading_a_damaged_record_names_it(tmp_path):
    path = write(tmp_path / "a.bin", images(3))
    content = bytearray(path.read_bytes())
    content[content.index(images(3)[1].tobytes()) + 17] ^= 0x40
    path.write_bytes(content)
    reader = RecordReader(path)
    assert reader.verify() == [1]
    np.testing.assert_array_equal(reader[2], images(3)[2])
    with pytest.raises(UserError, match=r"record 1 \('ünï/001.png'\) must match its checksum"):
        reader[1]


@pytest.mark.parametrize("keep", [0, 5, 20, 100, 4096, 5000, -1])
def test_truncated_files_are_refused_in_one_line(tmp_path, keep):
    path = write(tmp_path / "a.bin", images(9))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="must") as caught:
        RecordReader(path)
    assert "\n" not in str(caught.value)
    assert "got" in str(caught.value)


def test_appended_foreign_missing_and_other_versions_are_refused(tmp_path):
    path = write(tmp_path / "a.bin", images(2))
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    with pytest.raises(UserError, match="something was appended"):
        RecordReader(path)
    path.write_bytes(good[:8] + b"\x02" + good[9:])
    with pytest.raises(UserError, match="record format must be 1, got 2"):
        RecordReader(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(UserError, match=r"must begin with .*got .*PNG"):
        RecordReader(path)
    with pytest.raises(UserError, match="must be a record file, got none"):
        RecordReader(tmp_path / "missing.bin")


def test_another_image_size_is_refused(tmp_path):
    path = write(tmp_path / "a.bin", images(2))
    assert len(RecordReader(path, image_size=8)) == 2
    with pytest.raises(UserError, match="images must be 16 px, got 8 x 8"):
        RecordReader(path, image_size=16)


@pytest.mark.parametrize("shape", [(8,), (8, 8), (8, 8, 3)])
def test_records_that_are_no_rgba_images_are_refused_where_images_are_wanted(tmp_path, shape):
    path = write(tmp_path / "a.bin", np.zeros((2, *shape), np.uint8))
    assert RecordReader(path).shape == shape
    with pytest.raises(UserError, match=rf"must be 8 px, got records of \[{', '.join(map(str, shape))}\], not RGBA"):
        RecordReader(path, image_size=8)


def test_records_of_an_index_are_checked_under_numbers_from_both_ends(tmp_path):
    for name in ("a", "b"):
        with RecordWriter(tmp_path / f"{name}.bin", (8, 8, 4)) as writer:
            for number, image in enumerate(images(2)):
                writer.append(image, f"{name}{number}.png")
    records = write_index(tmp_path / "index.json", [tmp_path / "a.bin", tmp_path / "b.bin"])
    assert [records.intact(index) for index in (0, 3, -1, -4)] == [True] * 4


def test_an_index_is_no_leftover_while_it_is_checked(tmp_path, monkeypatch):
    """Another process may begin to write to the folder just then."""

    class Checked(record_index.IndexedRecords):
        def __init__(self, path):
            atomic._remove_leftovers.__wrapped__(tmp_path)
            super().__init__(path)

    monkeypatch.setattr(record_index, "IndexedRecords", Checked)
    files = [write(tmp_path / "a.bin", images(2))]
    assert len(write_index(tmp_path / "index.json", files)) == 2


def test_what_is_wrong_with_a_file_of_an_index_is_said_with_the_index(tmp_path):
    """A damaged index may name files that never were."""
    write_index(tmp_path / "index.json", [write(tmp_path / "a.bin", images(2))])
    index = (tmp_path / "index.json").read_text()
    (tmp_path / "index.json").write_text(index.replace("a.bin", "!.bin"))
    with pytest.raises(UserError, match=r"!\.bin: must be a record file, got none .*; index\.json names this file"):
        record_index.IndexedRecords(tmp_path / "index.json")
    write(tmp_path / "b.bin", images(2, size=4))
    with pytest.raises(UserError, match=r"b\.bin: records must be \[8, 8, 4\] as in the first file of \.?index"):
        write_index(tmp_path / "index.json", [tmp_path / "a.bin", tmp_path / "b.bin"])


def legacy_file(path: Path, records: np.ndarray) -> Path:
    """As the original wrote it: RGB / 127.5 - 1, alpha / 255, float32, nothing else."""
    values = records / [127.5, 127.5, 127.5, 255.0] - [1.0, 1.0, 1.0, 0.0]
    path.write_bytes(values.astype(np.float32).tobytes())
    return path


def test_the_originals_float_file_is_read_exactly(tmp_path):
    records = images(3)
    records[0, 0, 0] = (0, 255, 128, 255)
    reader = RecordReader(legacy_file(tmp_path / "old.bin", records), image_size=8)
    assert reader.legacy
    assert len(reader) == 3
    assert reader.names == ["000000", "000001", "000002"]
    np.testing.assert_array_equal(reader.batch([2, 0]), records[[2, 0]])
    assert reader.verify() == []


def test_the_originals_float_file_damaged_or_foreign(tmp_path):
    path = legacy_file(tmp_path / "old.bin", images(3))
    content = path.read_bytes()
    values = np.frombuffer(content, np.float32).copy()
    values[2 * 256] = np.nan
    path.write_bytes(values.tobytes())
    assert RecordReader(path, image_size=8).verify() == [2]
    path.write_bytes(content[:-4])
    with pytest.raises(UserError, match="whole float32 records of 8 x 8 x 4"):
        RecordReader(path, image_size=8)
    path.write_bytes(b"\x40\x41" * (len(content) // 2))
    with pytest.raises(UserError, match="float32 RGB in"):
        RecordReader(path, image_size=8)
    path.write_bytes(content)
    with pytest.raises(UserError, match="give its image size"):
        RecordReader(path)


WRITER = """
    import sys, time
    import numpy as np
    from lib.records.record_writer import RecordWriter
    with RecordWriter(sys.argv[1], (64, 64, 4)) as writer:
        for i in range(100):
            writer.append(np.full((64, 64, 4), i, np.uint8), str(i))
        print("written", flush=True)
        time.sleep(60)
"""


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_cleans_up(tmp_path):
    path = write(tmp_path / "a.bin", images(2))
    before = path.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "written\n"
    assert len(os.listdir(tmp_path)) == 2, "the unfinished file has another name"
    atomic._remove_leftovers.cache_clear()
    write(tmp_path / "a.bin", images(2))
    assert len(os.listdir(tmp_path)) == 2, "a file that is still being written is nobody's leftover"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.read_bytes() == before
    atomic._remove_leftovers.cache_clear()  # as in another process
    write(path, images(4, seed=1))
    assert os.listdir(tmp_path) == ["a.bin"]
    np.testing.assert_array_equal(RecordReader(path)[3], images(4, seed=1)[3])


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs limits on the file size")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = write(tmp_path / "a.bin", images(2))
    before = path.read_bytes()
    limited = """
        import resource, signal, sys
        import numpy as np
        from lib.records.record_writer import RecordWriter
        from lib.errors import DiskFull
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails with an OSError, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 + 6 * 16384,) * 2)
        try:
            with RecordWriter(sys.argv[1], (64, 64, 4)) as writer:
                for i in range(int(sys.argv[2])):
                    writer.append(np.zeros((64, 64, 4), np.uint8), str(i))
        except DiskFull as error:
            print("refused", error)
    """
    # Six records just fit, so that the failure comes when the file is finished.
    for count in ("100", "6"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(limited), str(path), count],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.startswith("refused"), done.stdout + done.stderr
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["a.bin"]


def test_a_disk_that_fails_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path / "a.bin", images(2))
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write(path, images(3))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.bin"]


def test_magic_marks_the_file(tmp_path):
    assert write(tmp_path / "a.bin", images(1)).read_bytes().startswith(MAGIC)


def test_the_fingerprint_tells_contents_and_names_apart(tmp_path):
    same, other = images(3), images(3)
    other[2, 0, 0, 0] ^= 1
    first = RecordReader(write(tmp_path / "a.bin", same)).fingerprint
    assert RecordReader(write(tmp_path / "b.bin", same)).fingerprint == first
    assert RecordReader(write(tmp_path / "c.bin", other)).fingerprint != first
    assert RecordReader(write(tmp_path / "d.bin", same[:2])).fingerprint != first
