"""Damaged and hostile files found by systematic tries: each ends as its kind must, in one line or made again."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import main
from benchmarks.soak import damage
from benchmarks.soak.attempts import SURVIVED
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import Reader
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.files.numpy_files import DamagedFile, read_npy, read_npz
from lib.mesh_sampling import load_or_build
from lib.network_files.torch_files import TorchCheckpoint
from lib.records.splits import load_split, save_split, split
from lib.synthetic.builtin.face_generator import load_face_model
from model.runs import checkpoints
from model.weights.pretrained import read_metadata
from tests.support.golden_face import golden_face_model
from tests.support.meshes import wavy_grid
from tests.support.programs.one_line import one_line
from tests.support.published_files.torch_writer import save_torch

KINDS = {reader.name: reader for reader in READERS}
LOSSES = ("render", "project", "hidden", "identity", "symmetry", "albedo", "variance", "coarse", "weight_decay")
# Ten times the one before, each.
BOMB = "loss:\n" + "".join(
    f"  {name}: &a{level} [{','.join([f'*a{level - 1}' if level else '1'] * 10)}]\n"
    for level, name in enumerate(LOSSES)
)
CONFIGS = {
    "bomb": BOMB,
    "negative factor": "texture:\n  factors: [-4]\n",
    "path as suffix": 'train:\n  suffix: "../../../../escape"\n',
    "no digits": "train:\n  seed: 0x_\n",
    "date": "train:\n  seed: 2001-99-99\n",
    "deep": f"train:\n  seed: {'[' * 3000}{']' * 3000}\n",
    "digits": f"train:\n  batch_size: -{'9' * 400}\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_one_line(name, tmp_path, capsys):
    (tmp_path / "hostile.yaml").write_text(CONFIGS[name])
    line = one_line(main.main, ["--config", tmp_path / "hostile.yaml"], capsys)
    assert len(line) < 700


def cut_in_the_middle(path) -> None:
    """The directory at its end then claims a place before the file's beginning: OSError 22."""
    np.savez(path, coefficients=np.ones([40, 159], np.float32), embeddings=np.ones([40, 384], np.float32))
    content = path.read_bytes()
    path.write_bytes(content[:40_000] + content[40_100:])


def unclosed_header(path) -> None:
    """Of an array: Python's tokenizer fails in its own way."""
    header = b'{"descr": "<f8", "fortran_order": False, "shape": (3,)'.ljust(74) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)


@pytest.mark.parametrize("write", [cut_in_the_middle, unclosed_header])
def test_an_archive_that_misleads_its_parsers_is_named(write, tmp_path, capsys):
    path = tmp_path / "misleading.npz"
    write(path)
    with pytest.raises(DamagedFile):
        read_npz(path)
    for read in (FaceModel.load, read_metadata, lambda file: checkpoints.restore(file, {}, {})):
        with pytest.raises(UserError, match=r"misleading\.npz: must be"):
            read(path)
    arguments = ["--mode", "pretrain", f"face_model.source={path}", "--root_dir", tmp_path]
    assert "misleading.npz" in one_line(main.main, arguments, capsys)


def flipped(content: bytes, position: int | None = None) -> bytes:
    """One bit of it changed, by default in the middle."""
    position = len(content) // 2 if position is None else position
    return content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]


@pytest.mark.parametrize(("target", "position"), [("laplacians0.npz", None), ("upsamp_trans1.npz", 846)])
def test_a_damaged_matrix_is_named_and_made_again(target, position, tmp_path, capsys):
    vertices, triangles = wavy_grid(12, 12)
    built = load_or_build(tmp_path, vertices, triangles)
    (tmp_path / target).write_bytes(flipped((tmp_path / target).read_bytes(), position))
    again = load_or_build(tmp_path, vertices, triangles)
    assert again.hash == built.hash
    message = capsys.readouterr().err
    assert message.startswith("the mesh levels are made again (")
    assert target in message
    assert message.count("\n") == 1
    load_or_build(tmp_path, vertices, triangles)
    assert capsys.readouterr().err == ""


@settings(max_examples=8)
@given(st.data())
def test_whatever_happens_to_a_matrix_the_levels_are_the_same(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "levels"
    vertices, triangles = wavy_grid(8, 8)
    built = load_or_build(folder, vertices, triangles)
    path = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.glob("*.npz"))), label="file")
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1), label="position")
    if data.draw(st.booleans(), label="cut"):
        content = content[:position]
    else:
        content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(content)
    again = load_or_build(folder, vertices, triangles)
    assert again.hash == built.hash
    for ours, theirs in zip(again.up, built.up, strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-99], flipped])
def test_a_damaged_face_model_of_the_cache_is_named_and_made_again(damage, tmp_path, capsys):
    model = load_face_model(tmp_path, 2000)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert load_face_model(tmp_path, 2000).fingerprint == model.fingerprint
    assert f"{path}: damaged, made again (" in capsys.readouterr().err
    load_face_model(tmp_path, 2000)
    assert capsys.readouterr().err == ""


@given(st.data())
def test_a_damaged_model_or_checkpoint_of_the_users_is_named(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    if data.draw(st.booleans(), label="PyTorch"):
        path = save_torch(folder / "flip.pth", {"net": {"weight": np.arange(6, dtype=np.float32)}})

        def read() -> None:
            TorchCheckpoint(path).arrays("net")
    else:
        path = folder / "flip.npz"
        golden_face_model().save(path)

        def read() -> None:
            FaceModel.load(path)

    content = bytearray(path.read_bytes())
    # Most of a face model is numbers; the structure of the archive is at its end.
    position = data.draw(st.integers(max(0, len(content) - 4000), len(content) - 1), label="position")
    content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(content)
    try:
        read()
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017 - without an error, the damage was harmless


@pytest.mark.parametrize(("name", "length"), [("image_train.txt", 64), ("image_val.txt", 0)])
def test_a_truncated_split_is_refused(name, length, tmp_path):
    names = [f"face_{i:06d}.png" for i in range(40)]
    save_split(tmp_path, split(names, {"val": 0.1, "test": 0.1}, 0))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:length])
    with pytest.raises(UserError, match="the split does not belong to the record file"):
        load_split(tmp_path, names)


def test_damaged_headers_of_landmarks_and_caches_are_seen_as_such(tmp_path):
    np.save(tmp_path / "a.npy", np.full([5, 2], 9.0))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:10] + bytes(4) + content[14:])
    with pytest.raises(DamagedFile):
        read_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", coefficients=np.ones([40, 159], np.float32))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content.replace(b"'shape': (", b"'shape':  ", 1))  # one bit
    with pytest.raises(DamagedFile):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("offset", [6, 8, 10], ids=["version", "flags", "method"])
def test_an_archive_of_another_version_flag_or_method_is_damaged(tmp_path, offset):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(5))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DamagedFile):
        read_npz(path)


OWN_FILES = (
    "shards", "index", "journal", "prepared shard", "rendered", "albedo targets", "stored graph", "chart", "encoded",
)  # fmt: skip


@pytest.mark.parametrize("name", OWN_FILES)
def test_whatever_happens_to_a_file_of_the_program_it_is_named_or_made_again(name, tmp_path, capsys):
    reader = KINDS[name]
    (tmp_path / "whole").mkdir()
    reader.make(tmp_path / "whole")
    expected = whole_content(reader, tmp_path)
    for seed in range(25):
        folder = tmp_path / str(seed)
        shutil.copytree(tmp_path / "whole", folder)
        generator = np.random.default_rng(seed)
        target = generator.choice(sorted(path for path in folder.glob(reader.target) if path.is_file()))
        target.write_bytes(damage.damaged(target.read_bytes(), generator))
        outcome = damage.judge(reader, folder, expected, target)
        assert outcome.state == SURVIVED, (seed, outcome.reason)


def whole_content(reader: Reader, folder) -> str:
    shutil.copytree(folder / "whole", folder / "read")
    return damage.digest(reader.read(folder / "read"))


@pytest.mark.parametrize("name", ["shards", "prepared shard"])
def test_shards_that_an_earlier_version_wrote_without_checksums_are_read(name, tmp_path):
    reader = KINDS[name]
    (tmp_path / "whole").mkdir()
    reader.make(tmp_path / "whole")
    expected = whole_content(reader, tmp_path)
    for path in (tmp_path / "whole").rglob("0*.json"):
        content = json.loads(path.read_text())
        del content["crc32"]
        path.write_text(json.dumps(content))
    assert damage.digest(reader.read(tmp_path / "whole")) == expected
    path.write_text(json.dumps(content | {"crc33": 1}))
    with pytest.raises(UserError, match=path.name):
        reader.read(tmp_path / "whole")


NESTED = {
    "split": "split.json",
    "index": "mine.shards/index.json",
    "shards": "mine.shards/00000-of-00002.manifest.json",
    "prepared shard": "0.json",
    "journal": "progress.jsonl",
    "measurements": "training.json",
    "ict": "FaceXModel/vertex_indices.json",
    "surrey": "ibug_to_sfm.txt",
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("content", [b"[" * 200_000, b"9" * 5000, b'{"a": ' * 200_000, b'"\\ud800"', b"\xff\xfe"])
def test_numbers_and_brackets_without_end_are_refused(name, content, tmp_path):
    reader = KINDS[name]
    reader.make(tmp_path)
    target = tmp_path / NESTED[name]
    target.write_bytes(content)
    outcome = damage.judge(reader, tmp_path, "", target)
    assert outcome.how == "refused by name", outcome.reason
