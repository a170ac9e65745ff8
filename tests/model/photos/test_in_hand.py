"""Notes of the photos that kill their processes: as long as the photo stays as it is, and without a need for them."""

import os

import pytest

from model.photos.in_hand import PhotosInHand
from tests.support.damage import files_of_at_most


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    return path


def test_a_note_stays_only_if_the_process_ends_during_the_work(tmp_path, photo):
    path = tmp_path / "notes"
    notes = PhotosInHand(path)
    with notes.held("a", photo):
        assert PhotosInHand(path).has_killed("a", photo), "as the next run would find it"
        assert not PhotosInHand(path).has_killed("b", photo)
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt), notes.held("a", photo):
        raise KeyboardInterrupt
    assert not path.exists()


@pytest.mark.parametrize(
    "change", [lambda photo: photo.write_bytes(b"another"), lambda photo: photo.with_suffix(".npy").touch()]
)
def test_a_note_ends_with_a_change_of_the_photo_or_beside_it(tmp_path, photo, change):
    PhotosInHand(tmp_path / "notes").add("a", photo)
    assert PhotosInHand(tmp_path / "notes").has_killed("a", photo)
    change(photo)
    assert not PhotosInHand(tmp_path / "notes").has_killed("a", photo)


def test_photos_that_are_gone_are_forgotten(tmp_path, photo):
    notes = PhotosInHand(tmp_path / "notes")
    notes.add("a", photo)
    notes.add("b", photo)
    notes.keep_only({"b", "c"})
    assert not PhotosInHand(tmp_path / "notes").has_killed("a", photo)
    assert PhotosInHand(tmp_path / "notes").has_killed("b", photo)
    notes.keep_only(())
    assert not (tmp_path / "notes").exists()


def test_names_that_are_not_utf8_are_noted(tmp_path, photo):
    name = os.fsdecode(b"\xff")
    PhotosInHand(tmp_path / "notes").add(name, photo)
    assert PhotosInHand(tmp_path / "notes").has_killed(name, photo)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"killed": {"a": "x"}, "crc32": 1}'])
def test_a_damaged_file_is_none(tmp_path, photo, content):
    (tmp_path / "notes").write_bytes(content)
    assert not PhotosInHand(tmp_path / "notes").has_killed("a", photo)


def test_a_full_disk_is_no_obstacle(tmp_path, photo):
    notes = PhotosInHand(tmp_path / "notes")
    with files_of_at_most(0), notes.held("a", photo):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg"]
