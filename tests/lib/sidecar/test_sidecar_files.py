"""Landmarks and masks beside photos: their formats, and what is refused."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.face_image.quality import Unusable
from lib.sidecar import sidecar_files as beside
from lib.sidecar.photo_key import photo_key

FIVE = np.array([[30.0, 40], [60, 41], [45, 55], [34, 70], [56, 71]])


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.b.jpg"
    Image.new("RGB", (100, 120)).save(path)
    return path


@pytest.mark.parametrize("separator", ["\t", " ", ", "])
@pytest.mark.parametrize("place", ["a.b.txt", "detections/a.b.txt"])
def test_five_lines(photo, separator, place):
    file = photo.parent / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(f"{x:.2f}{separator}{y:.2f}" for x, y in FIVE))
    np.testing.assert_allclose(beside.given_landmarks(photo, (120, 100)).points, FIVE)
    # A photo that was read smaller has its points there.
    np.testing.assert_allclose(beside.given_landmarks(photo, (60, 50)).points, FIVE / 2)


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda p: p, ""),
        (lambda p: p[[1, 0, 2, 4, 3]], "a.b.txt: landmarks had left and right exchanged"),
        (lambda p: p / (100, 120), "a.b.txt: landmarks were shares"),
    ],
)
def test_what_was_changed_is_said(photo, spoil, remark):
    (photo.parent / "a.b.txt").write_text("\n".join(f"{x:.4f} {y:.4f}" for x, y in spoil(FIVE)))
    given = beside.given_landmarks(photo, (120, 100))
    assert given.remark.startswith(remark)
    assert bool(given.remark) == bool(remark)
    assert given.file == "a.b.txt"


@pytest.mark.parametrize("size", [(120, 400), (400, 120)])
@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda p: p[:, ::-1], "landmarks were (row, column)"),
        (lambda p: np.stack([p[:, 0], 1 - p[:, 1]], axis=1), "landmarks had y pointing up"),
    ],
)
def test_shares_in_another_order_are_of_the_side_that_they_belong_to(tmp_path, size, spoil, remark):
    photo = tmp_path / "a.png"
    Image.new("RGB", size[::-1]).save(photo)
    np.save(tmp_path / "a.npy", spoil(FIVE / size[::-1]))
    given = beside.given_landmarks(photo, size)
    np.testing.assert_allclose(given.points, FIVE)
    assert "shares of the photo's size" in given.remark
    assert remark in given.remark


def test_pts_files_are_found(photo):
    points = np.full((68, 2), 50.0)
    points[36:42], points[42:48], points[[30, 48, 54]] = FIVE[0], FIVE[1], FIVE[2:]
    lines = "".join(f"{x} {y}\n" for x, y in points)
    (photo.parent / "a.b.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}}}\n")
    np.testing.assert_allclose(beside.given_landmarks(photo, (120, 100)).points, points - 0.5)


def test_points_follow_the_upright_photo(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (120, 100)).save(path, exif=exif)
    np.save(tmp_path / "turned.npy", FIVE)
    np.testing.assert_allclose(beside.given_landmarks(path, (120, 100)).points, FIVE)


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "1 2 3 4 5 6 7 8 9 9000"])
def test_what_is_no_landmarks_is_refused(photo, text):
    photo.with_suffix(".txt").write_text(text)
    with pytest.raises(Unusable, match=r"a\.b\.txt: (must hold 5, 68 or 468|points must lie).*prepare\.bes") as caught:
        beside.given_landmarks(photo, (120, 100))
    assert caught.value.kind == "bad landmarks or mask"


def test_captions_are_ignored_with_one_word_for_all(photo, capsys):
    photo.with_suffix(".txt").write_text("a photo of a woman, 35 years")
    assert beside.given_landmarks(photo, (120, 100)) is None
    files = beside.sidecar_files([photo, photo.with_suffix(".png")])
    beside.report_sidecars(files)
    assert capsys.readouterr().err == f"no landmarks, ignored: {photo.with_suffix('.txt')}\n"
    np.savetxt(photo.with_suffix(".pts"), FIVE)
    np.testing.assert_allclose(beside.given_landmarks(photo, (120, 100)).points, FIVE)


def test_the_files_that_are_used_are_those_that_are_watched(photo):
    """Behind a caption, too: a file that vanishes during a run must not be taken for one that never was."""
    photo.with_suffix(".txt").write_text("a caption")
    landmarks = photo.parent / "detections" / photo.with_suffix(".txt").name
    landmarks.parent.mkdir()
    np.savetxt(landmarks, FIVE)
    assert landmarks in beside.sidecar_files([photo])[photo]
    assert beside.landmarks_path(photo) == landmarks


def test_masks(photo):
    assert beside.given_landmarks(photo, (120, 100)) is None
    assert beside.given_mask(photo, (120, 100)) is None
    mask = np.zeros((120, 100), np.uint8)
    mask[20:80, 30:70] = 255
    file = photo.parent / "a.b_mask.png"
    Image.fromarray(mask).save(file)
    np.testing.assert_array_equal(beside.given_mask(photo, (120, 100)), mask)
    np.testing.assert_array_equal(beside.given_mask(photo, (60, 50)), mask[::2, ::2])
    Image.fromarray(mask[:50]).save(file)
    with pytest.raises(Unusable, match=r"100 x 120 px, got 100 x 50 \(prepare\.beside=false"):
        beside.given_mask(photo, (120, 100))
    for value in (0, 255):
        Image.fromarray(np.full_like(mask, value)).save(file)
        with pytest.raises(Unusable, match=rf"got {value} everywhere \(prepare\.beside=false"):
            beside.given_mask(photo, (120, 100))


def test_a_masks_alpha_counts_where_it_is_not_opaque(photo):
    face = np.zeros((120, 100), np.uint8)
    face[20:80, 30:70] = 255
    cut_out = np.dstack([np.full((120, 100, 3), (200, 90, 60), np.uint8), face])
    file = photo.parent / "a.b_mask.png"
    Image.fromarray(cut_out).save(file)
    np.testing.assert_array_equal(beside.given_mask(photo, (120, 100)), face)
    Image.fromarray(np.dstack([face, face, face, np.full_like(face, 255)])).save(file)
    np.testing.assert_array_equal(beside.given_mask(photo, (120, 100)), face)


def palette(face):
    """Black and white, of which the latter is transparent."""
    image = Image.fromarray(face // 255, "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image, {"transparency": 1}


def with_few_colours(face):
    pixels = np.dstack([face] * 3)
    pixels[0, :100] = (250, 10, 40)  # 100 of 12000, of which the mean is below WHITE
    return Image.fromarray(pixels), {}


@pytest.mark.parametrize(
    "made",
    [
        lambda face: (Image.fromarray(np.dstack([face, face, face, np.full_like(face, 254)])), {}),
        lambda face: (Image.fromarray(np.dstack([face, face, face, 255 - face])), {}),
        lambda face: (Image.fromarray(np.dstack([255 - face // 255 * 135] * 3 + [face])), {}),
        palette,
        with_few_colours,
    ],
)
def test_a_mask_in_black_and_white_counts_whatever_its_alpha(photo, made):
    """And one that is neither is told by its alpha; a few coloured pixels, as of a logo, do not matter."""
    face = np.zeros((120, 100), np.uint8)
    face[20:80, 30:70] = 255
    image, options = made(face)
    image.save(photo.parent / "a.b_mask.png", **options)
    np.testing.assert_array_equal(beside.given_mask(photo, (120, 100)) >= beside.WHITE, face == 255)


def test_an_alpha_that_is_nearly_the_same_everywhere_marks_no_face(photo):
    pixels = np.full((120, 100, 4), 255, np.uint8)
    pixels[:60, :, 3] = 254
    Image.fromarray(pixels).save(photo.parent / "a.b_mask.png")
    with pytest.raises(Unusable, match="must be white on the face alone, got 255 everywhere"):
        beside.given_mask(photo, (120, 100))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((255, 0, 0), "must be white on the face and black elsewhere, got colours"),
        ((0, 0, 255), "got colours"),
        (1, r"must be 255 on the face, got at most 1 \(a mask of 0 and 1\? multiply it by 255\)"),
        (100, "must be 255 on the face, got at most 100"),
    ],
)
def test_masks_that_are_no_masks_are_refused_with_the_cause(photo, value, message):
    mask = np.zeros((120, 100, 3), np.uint8)
    mask[20:80, 30:70] = value
    Image.fromarray(mask).save(photo.parent / "a.b_mask.png")
    with pytest.raises(Unusable, match=rf"a\.b_mask\.png: .*{message}"):
        beside.given_mask(photo, (120, 100))


def test_the_sidecar_files_of_a_folder_are_those_that_each_photo_uses(photo):
    folder, photos = photo.parent, [photo, *(photo.parent / name for name in ("b.png", "c.png", "gone/d.png"))]
    (folder / "detections").mkdir()
    for name in ("a.b.pts", "a.b.txt", "a.b_mask.png", "detections/a.b.txt", "detections/b.txt"):
        (folder / name).write_text("1 2\n")
    (folder / "c.npy").mkdir()
    found = beside.sidecar_files(photos)
    names = [[file.relative_to(folder).as_posix() for file in found[photo]] for photo in photos]
    assert names == [["a.b.txt", "a.b_mask.png"], ["detections/b.txt"], [], []]
    assert [found[photo] for photo in photos[:2]] == [
        (beside.landmarks_path(photo), beside.mask_path(photo)),
        (beside.landmarks_path(photos[1]),),
    ]


def test_a_circle_of_links_hides_no_other_file(tmp_path):
    for name in ("a.jpg", "a.npy"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert beside.sidecar_files([tmp_path / "a.jpg"]) == {tmp_path / "a.jpg": (tmp_path / "a.npy",)}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user")
def test_a_folder_of_landmarks_that_is_closed_to_this_user_is_reported_and_counts_as_empty(capsys):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        photo = folder / "a.jpg"
        photo.touch()
        (folder / "detections").mkdir(0o700)
        (folder / "detections" / "a.txt").write_text("1 2\n" * 5)
        os.seteuid(65534)
        try:
            assert beside.sidecar_files([photo]) == {photo: ()}
            assert beside.landmarks_path(photo) is None
            assert len(photo_key(photo, "options", True, "a")) == 16
        finally:
            os.seteuid(0)
        said = f"{folder / 'detections'}: must be listed to find landmarks and masks, got: Permission denied\n"
        assert capsys.readouterr().err == said


def test_a_sidecar_file_that_is_gone_is_named(photo):
    files = [photo.with_suffix(".txt"), photo.with_name("a.b_mask.png")]
    for file in files:
        file.touch()
    beside.check_still_there(files)
    files[1].unlink()
    with pytest.raises(Unusable, match=r"a\.b_mask\.png: must stay until its photo is read, got it deleted") as caught:
        beside.check_still_there(files)
    assert caught.value.kind == "bad landmarks or mask"


def test_a_photo_whose_sidecar_files_could_not_be_named_has_none(tmp_path):
    photo = tmp_path / f"{'x' * 251}.ok"
    photo.touch()
    assert beside.mask_path(photo) is None
    assert beside.landmarks_path(tmp_path / f"{'x' * 252}.j") is None


def test_files_that_several_photos_share_are_told_once(tmp_path, capsys):
    for name in ("a.jpg", "a.png", "a.txt", "a_mask.png", "b.jpg", "b.txt", "c.jpg"):
        (tmp_path / name).write_text("1 2\n")
    beside.report_sidecars(beside.sidecar_files(tmp_path / name for name in ("b.jpg", "c.jpg")))
    assert not capsys.readouterr().err
    beside.report_sidecars(beside.sidecar_files(tmp_path / name for name in ("a.jpg", "a.png", "b.jpg")))
    told = f"{tmp_path}/a.txt: used for a.jpg and a.png, which must show the same picture (otherwise rename all but one"
    assert capsys.readouterr().err == f"{told}; 1 more such files)\n"
