"""What the soak accepts of damaged files, and what its readers see of them."""

import io
import shutil
import sys
import zipfile

import numpy as np
import pytest

from benchmarks.soak import damage
from benchmarks.soak.attempts import LOST, SURVIVED
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import MADE, OPEN, USERS, Reader
from lib.errors import UserError
from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile, read_npz


def reads(result, said="", makes=None):
    def read(folder):
        if makes is not None:
            (folder / "a.bin").write_text(makes)
        if isinstance(result, Exception):
            raise result
        print(said, end="", file=sys.stderr)
        return result

    return read


@pytest.mark.parametrize(
    ("origin", "read", "state", "how"),
    [
        (MADE, reads("whole"), SURVIVED, "harmless"),
        (MADE, reads("whole", "a.bin: damaged, made again", makes="whole"), SURVIVED, "made again, with a message"),
        (MADE, reads("whole", makes="whole"), LOST, "made again silently"),
        (MADE, reads("other"), LOST, "silent"),
        (USERS, reads("other"), LOST, "silent"),
        (OPEN, reads("other"), SURVIVED, "another content"),
        (OPEN, reads(UserError("a.bin: must be whole")), SURVIVED, "refused"),
        (OPEN, reads(UserError("must be whole")), LOST, "unnamed"),
        (OPEN, reads(KeyError("index")), LOST, "traceback"),
        (OPEN, reads(OSError(22, "Invalid argument")), LOST, "traceback"),
    ],
)
def test_how_a_damaged_file_may_end(tmp_path, origin, read, state, how):
    reader = Reader("trial", "trials", origin, lambda folder: None, read)
    (tmp_path / "a.bin").write_text("damaged")
    outcome = damage.judge(reader, tmp_path, damage.digest("whole"), tmp_path / "a.bin")
    assert outcome.state == state
    assert how in outcome.how


def test_damage_changes_a_file():
    content = bytes(range(200))
    changed = [damage.damaged(content, np.random.default_rng(seed)) for seed in range(60)]
    assert sum(other != content for other in changed) > 50
    assert {len(other) < 200 for other in changed} == {len(other) > 200 for other in changed} == {True, False}
    assert damage.damaged(b"", np.random.default_rng(0))


def test_a_digest_is_of_contents_and_not_of_places_in_memory():
    assert damage.digest([np.ones(2), "a"]) == damage.digest((np.ones(2), "a")) != damage.digest([np.ones(3), "a"])
    with pytest.raises(TypeError, match="must be arrays, texts and numbers"):
        damage.digest([object()])


def test_a_refusal_names_the_damaged_file_and_no_other(tmp_path):
    target = tmp_path / "records" / "a.bin"
    for message in (f"{target}: torn", "a.bin: torn", f"{target.parent}: torn", f"remove {target.parent}/", "'a.bin'"):
        assert damage.names(message, target), message
    for message in (f"{target.parent}/b.json: torn", f"{target.parent}s: torn", "aa.bin: torn", "a.bins", "torn"):
        assert not damage.names(message, target), message
    for message in (
        "error: records: torn",
        "bar\nrecords: torn",
        "see records/",
        "in 'records'",
        f"{target.parent}: torn",
    ):
        assert damage.names(message, target, tmp_path), message
    for message in ("two records: torn", "no records here", "records/b.json: torn", "error: records must hold crops"):
        assert not damage.names(message, target, tmp_path), message


# A corner's weight of a triangle may change a little without another vertex becoming the landmark. Training without a
# crops' key cannot tell who rendered them, and goes on.
UNSEEN = {"full_lmk_bary_coords", "key"}


@pytest.mark.parametrize("reader", [r for r in READERS if r.origin != OPEN], ids=lambda reader: reader.name)
def test_readers_of_files_with_checksums_see_every_part(tmp_path, reader):
    """A flipped byte is noticed; so is another value under a right checksum, because all of the content is returned."""
    whole, folder = tmp_path / "whole", tmp_path / "read"
    whole.mkdir()
    reader.make(whole)
    shutil.copytree(whole, folder)
    expected = damage.digest(reader.read(folder))
    for target in [path for path in whole.glob(reader.target) if path.is_file()][:2]:
        for content in (*flipped(target), *altered(target)):
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
            victim = folder / target.relative_to(whole)
            victim.write_bytes(content)
            outcome = damage.judge(reader, folder, expected, victim)
            assert "harmless" not in outcome.how, f"{target.name}: {outcome}"


def flipped(path):
    """Contents with a flipped bit: in the middle of the file, or of three arrays of an archive."""
    content, places = path.read_bytes(), [path.stat().st_size // 2]
    if path.suffix == ".npz":
        members = [m for m in zipfile.ZipFile(path).infolist() if m.filename.removesuffix(".npy") not in UNSEEN]
        members = [members[0], members[len(members) // 2], members[-1]]
        places = [m.header_offset + 30 + len(m.filename) + m.compress_size // 2 for m in members]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        yield bytes(changed)


def altered(path):
    """Contents of an archive with another value in one of six arrays, and the checksums of that."""
    if path.suffix != ".npz":
        return
    try:
        header, arrays = headed_npz.read(path)
    except DamagedFile:
        header, arrays = None, read_npz(path)
    names = [name for name, array in arrays.items() if array.size and array.dtype.kind != "U" and name not in UNSEEN]
    for name in names[:: -(-len(names) // 6)]:
        changed, stream = np.ascontiguousarray(arrays[name]).copy(), io.BytesIO()
        place = changed.size // 2 * changed.itemsize
        changed.reshape(-1).view(np.uint8)[place] ^= 1
        if header is None:
            np.savez(stream, **{**arrays, name: changed})
            yield stream.getvalue()
        else:
            headed_npz.write(other := path.with_name(".other.npz"), {**arrays, name: changed}, header)
            content = other.read_bytes()
            other.unlink()
            yield content
