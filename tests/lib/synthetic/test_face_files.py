"""Pre-training's faces on disk: damage is found chunk by chunk, and a full disk is an error of the write."""

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import DiskFull
from lib.files.atomic import space_for
from lib.synthetic.face_files import CHECKSUMS, DONE, FaceFiles
from lib.synthetic.face_set import load_or_render
from tests.support.numbered_faces import Numbers

RECIPE = {"image_size": 8, "count": 70}  # three chunks


def render(folder) -> list[int]:
    """Loads or renders the faces, checks them, and returns those that were drawn."""
    Numbers.drawn.clear()
    faces = load_or_render(folder, RECIPE, 4, Numbers, (8,))
    np.testing.assert_array_equal(faces.images[:, 3, 2, 1], np.arange(70) % 251)
    np.testing.assert_array_equal(faces.coefficients[:, 3], np.arange(70))
    np.testing.assert_array_equal(faces.identities, np.arange(70) // 2)
    return list(Numbers.drawn)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    assert render(root) == list(range(70))
    return root


def test_whole_faces_are_not_rendered_again(folder, capsys):
    assert render(folder) == []
    assert "damaged" not in capsys.readouterr().err


@settings(max_examples=25)
@given(st.data())
def test_a_flipped_bit_or_another_length_is_repaired(folder, data):
    name = data.draw(st.sampled_from(["images", "coefficients", "identities", "checksums"]), label="file")
    (path,) = folder.glob(f"*/{name}.raw")
    whole = path.read_bytes()
    content = bytearray(whole)
    position = data.draw(st.integers(0, len(content) - 1), label="position")
    kind = data.draw(st.sampled_from(["flip", "cut", "append"]), label="damage")
    if kind == "flip":
        content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    else:
        content = content[:position] if kind == "cut" else content + b"more"
    path.write_bytes(content)
    harmless = content[: len(whole)].ljust(len(whole), b"\0") == whole  # what is missing is filled with zeros
    assert (render(folder) == []) == harmless
    assert render(folder) == [], "it is repaired once"


def test_one_damaged_chunk_is_named_and_rendered_alone(folder, capsys):
    (path,) = folder.glob("*/images.raw")
    content = bytearray(path.read_bytes())
    content[40 * 8 * 8 * 4] ^= 1  # face 40
    path.write_bytes(content)
    assert render(folder) == list(range(32, 64))
    assert f"{path.parent}: faces 32 to 63 are damaged, rendered again" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["images", "checksums"])
def test_nothing_is_made_again_or_cut_off_in_silence(folder, capsys, name):
    (path,) = folder.glob(f"*/{name}.raw")
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")
    assert render(folder) == []
    assert f"{path}: must have {len(whole)} bytes, got {len(whole) + 4}" in capsys.readouterr().err
    path.write_bytes(whole[:-4])
    assert render(folder) == list(range(64, 70))
    assert f"{path.parent}: " in capsys.readouterr().err


def test_faces_of_an_earlier_version_are_taken_over(folder):
    (sums,) = folder.glob(f"*/{CHECKSUMS}")
    before = sums.read_bytes()
    sums.unlink()
    (sums.parent / DONE).write_bytes(bytes([1, 0, 1]))
    assert render(folder) == list(range(32, 64))
    assert sums.read_bytes() == before
    assert not (sums.parent / DONE).exists()


def test_a_disk_that_fills_up_meanwhile_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    write = FaceFiles._write

    def full(path, offset, content):
        if path.name == "images.raw" and offset:
            with space_for(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(path, offset, content)

    monkeypatch.setattr(FaceFiles, "_write", staticmethod(full))
    with pytest.raises(DiskFull, match=r"images\.raw: must fit on its disk, got: No space left"):
        load_or_render(tmp_path, RECIPE, 4, Numbers, (8,))
    monkeypatch.undo()
    assert render(tmp_path) == list(range(32, 70))
