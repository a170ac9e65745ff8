"""Photos on their side, and landmarks beside photos in every order that people give."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
from PIL import Image

import model.photos.reader
from lib.face_image import detection
from lib.face_image.alignment import five_points
from lib.face_image.quality import Unusable
from lib.face_mesh.groups import mirror_numbers
from lib.face_mesh.network import find_mesh_points
from lib.geometry.camera import Camera
from lib.sidecar.landmark_order import MIRRORED_68
from lib.sidecar.sidecar_files import sidecar_files
from model.morphable_model import MorphableModel
from model.photos.reader import FoundFaces, PhotoReader
from tests.support.faces import built_in_face
from tests.support.helpers import shared_file
from tests.support.photo_corpus import portrait_pixels

PORTRAIT = portrait_pixels()
FIVE = np.array([[124.0, 101], [165.5, 102.5], [144, 127], [122.5, 139.5], [166.5, 139]])


@pytest.fixture(scope="module")
def reader():
    return PhotoReader(built_in_face(2000), Camera(), 0.9)


@pytest.fixture(scope="module")
def sixty_eight():
    """[68, 2] landmarks of a face about where the portrait's is."""
    model = built_in_face(2000)
    coefficients = np.zeros([1, model.layout.size], np.float32)
    coefficients[0, model.layout.slices["angles"]] = (0.1, -0.2, 0.05)
    landmarks = MorphableModel(model).posed(coefficients, Camera()).landmarks[0].numpy().astype(np.float64)
    five = five_points(landmarks)
    scale = np.linalg.norm(FIVE[1] - FIVE[0]) / np.linalg.norm(five[1] - five[0])
    return (landmarks - five.mean(0)) * scale + FIVE.mean(0)


def beside(folder, points):
    """The portrait with a landmark file."""
    path = folder / "p.png"
    Image.fromarray(PORTRAIT).save(path)
    np.save(folder / "p.npy", points)
    return path


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_photos_on_their_side_are_turned(tmp_path, reader, turns):
    upright = reader.find_in_array(PORTRAIT, "upright", 1)
    assert (upright.turns, upright.remark) == (0, "")
    path = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(PORTRAIT, -turns))).save(path)
    photo, region = reader.read(path)
    assert photo.turns == turns
    assert "turned by" in photo.remark
    np.testing.assert_allclose(photo.face.points, upright.faces[0].points)
    assert photo.photo_size == PORTRAIT.shape[:2]
    np.testing.assert_array_equal(region.pixels, reader.with_region("a", upright, upright.faces[0])[1].pixels)


def test_what_shows_no_face_in_any_direction_has_none(reader):
    with pytest.raises(Unusable, match="no face found"):
        reader.find_in_array(skimage.data.coffee(), "cup", 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p,
        lambda p: p.T,
        lambda p: p[{5: [1, 0, 2, 4, 3], 68: list(MIRRORED_68), 468: list(mirror_numbers())}[len(p)]],
        lambda p: np.stack([p[:, 0], 300 - p[:, 1]], axis=1),
        lambda p: p[:, ::-1],
        lambda p: p / 300,
    ],
)
@pytest.mark.parametrize("count", [5, 68, 468])
def test_landmarks_in_any_known_order_give_the_same_face(tmp_path, reader, sixty_eight, count, spoil):
    points = {5: FIVE, 68: sixty_eight, 468: find_mesh_points(PORTRAIT, FIVE).points}[count]
    right = reader.read(beside(tmp_path, points))[0]
    photo = reader.read(beside(tmp_path, spoil(points)))[0]
    np.testing.assert_allclose(photo.face.points, right.face.points, atol=1e-4)
    np.testing.assert_array_equal(photo.alignment.crop, right.alignment.crop)
    given = {5: photo.face.points, 68: photo.face.landmarks, 468: photo.face.mesh}[count]
    np.testing.assert_allclose(given, points, atol=1e-4)
    assert photo.face.given == "p.npy"


def test_landmarks_that_are_deleted_before_they_are_read_are_missed(tmp_path, reader):
    path = beside(tmp_path, FIVE)
    files = sidecar_files([path])[path]
    assert reader.find(path, 1, files).faces[0].given == "p.npy"
    (tmp_path / "p.npy").unlink()
    with pytest.raises(Unusable, match=r"p\.npy: must stay until its photo is read"):
        reader.find(path, 1, files)
    ignoring = PhotoReader(built_in_face(2000), Camera(), 0.9, sidecars=False)
    assert not ignoring.find(path, 1, files).faces[0].given


def test_the_five_of_468_points_are_the_detectors(reader):
    """So that given 468 points place the crop as detected ones do."""
    found = reader.find_in_array(PORTRAIT, "portrait", 1).faces[0].points
    apart = np.linalg.norm(five_points(find_mesh_points(PORTRAIT, found).points) - found, axis=1)
    assert apart.max() < 0.1 * np.linalg.norm(found[1] - found[0])


@pytest.mark.parametrize(
    "points",
    [
        FIVE[[1, 1, 0, 0, 2]] + [[18, 0], [-8, 0], [-18, 0], [8, 0], [0, 6]],  # dlib's: corners of the eyes, nose
        FIVE[[0, 1, 3, 4, 2]],
        FIVE[[0, 1, 3, 2, 4]] + [[0, 0], [0, 0], [0, -30], [0, 30], [0, 0]],
    ],
)
def test_five_points_that_are_no_face_are_refused(tmp_path, reader, points):
    with pytest.raises(Unusable, match=r"p\.npy: points must") as caught:
        reader.read(beside(tmp_path, points))
    assert caught.value.kind == "bad landmarks or mask"


@pytest.mark.parametrize("points", [np.full((5, 2), 40.0), FIVE * [0.1, 0.1] - 40])
def test_points_that_span_no_face_of_the_photo_are_named(tmp_path, reader, points):
    with pytest.raises(Unusable, match=r"p\.npy: points must .*\(prepare\.beside=false ignores such files\)"):
        reader.read(beside(tmp_path, points))


def test_68_points_in_another_order_are_refused(tmp_path, reader, sixty_eight):
    other = sixty_eight.copy()
    other[:27] = sixty_eight[26::-1]  # brows first; the five points are right
    with pytest.raises(Unusable, match=r"p\.npy: points must fit a face"):
        reader.read(beside(tmp_path, other))


@pytest.mark.parametrize("most", [1, None])
def test_each_pass_of_the_detector_counts(monkeypatch, most):
    """Faces that only the pass over large faces finds are among all faces as well."""

    def face(x, side, confidence):
        return detection.Face(np.array([x, 0.0, side, side]), FIVE, confidence)

    passes = {
        detection.LARGE: [face(0, 100, 0.99), face(600, 50, 0.5)],
        detection.SMALLEST: [face(10, 90, 0.95), face(300, 120, 0.97)],
    }
    monkeypatch.setattr(detection, "detect_faces", lambda image, refine, smallest: passes[smallest])
    monkeypatch.setattr(detection, "_refined", lambda pixels, found: found)
    found = detection.detect_confident_faces(PORTRAIT, "two", 0.9, most)
    assert [f.box[0] for f in found] == ([0] if most == 1 else [300, 0])


def test_equally_certain_faces_of_a_turned_photo_all_count(monkeypatch, reader):
    faces = [detection.Face(np.array([x, 0.0, 9, 9]), FIVE, 1.0) for x in (0, 10)]
    found = iter([None, faces, None, None])

    def detect(photo, name, confidence, most=None):
        if (seen := next(found)) is None:
            raise Unusable("no face", "none")
        return seen

    monkeypatch.setattr("model.photos.reader.detect_confident_faces", detect)
    monkeypatch.setattr(
        "model.photos.reader.find_mesh_points", lambda image, points: SimpleNamespace(is_face=True, face=0.9)
    )
    turned = reader.find_in_array(PORTRAIT, "two")
    assert turned.turns == 1
    assert [face.box[0] for face in turned.faces] == [0, 10]


def test_a_false_detection_in_a_turned_photo_hides_no_smaller_face(monkeypatch, reader):
    """Also where only the largest face is wanted."""
    detected = {1: [detection.Face(np.array([x, 0.0, side, side]), FIVE, 1.0) for x, side in ((0, 99), (10, 50))]}

    def detect(photo, name, confidence, most=None):
        turns = next(turns for turns in range(4) if np.array_equal(photo, np.rot90(PORTRAIT, turns)))
        if turns not in detected:
            raise Unusable("no face", "none")
        return detected[turns][:most]

    answers = iter([SimpleNamespace(is_face=False, face=0.1), SimpleNamespace(is_face=True, face=0.9)])
    monkeypatch.setattr("model.photos.reader.detect_confident_faces", detect)
    monkeypatch.setattr("model.photos.reader.find_mesh_points", lambda image, points: next(answers))
    turned = reader.find_in_array(PORTRAIT, "two", 1)
    assert (turned.turns, [face.box[0] for face in turned.faces]) == (1, [10])


@pytest.mark.parametrize(("confidence", "count"), [(0.95, 1), (0.995, 2)])
def test_a_doubtful_detection_beside_a_face_needs_confirmation(monkeypatch, reader, confidence, count):
    photo = skimage.data.astronaut()
    (real,) = detection.detect_confident_faces(photo, "astronaut", reader.min_confidence)
    away = np.array([-150.0, 60.0])  # on the flag
    false = dataclasses.replace(real, box=real.box + [*away, 0, 0], points=real.points + away, confidence=confidence)
    monkeypatch.setattr(model.photos.reader, "detect_confident_faces", lambda *_: [real, false])
    assert len(reader.find_in_array(photo, "astronaut").faces) == count
    doubtful = dataclasses.replace(real, confidence=0.95)
    monkeypatch.setattr(model.photos.reader, "detect_confident_faces", lambda *_: [real, doubtful])
    assert len(reader.find_in_array(photo, "astronaut").faces) == 2, "confirmed"


def with_mask(ground):
    """The portrait with a mask of the face, over a ground [H, W, 3] or one colour."""
    mask = np.zeros(PORTRAIT.shape[:2], np.uint8)
    mask[85:185, 105:190] = 255
    pixels = np.where(mask[..., None] > 0, PORTRAIT, np.clip(ground, 0, 255).astype(np.uint8))
    return np.dstack([pixels, mask])


@pytest.mark.parametrize(
    ("ground", "shown"),
    [
        (PORTRAIT, True),
        (np.full(3, 0), False),
        (np.full(3, 255), False),
        (np.random.default_rng(0).normal(128, 1, PORTRAIT.shape), False),  # JPEG's noise
    ],
)
def test_cut_outs_show_no_surroundings(reader, ground, shown):
    found = reader.find_in_array(with_mask(ground), "p", 1)
    assert reader.with_region("p", found, found.faces[0])[0].shows_surroundings == shown


def test_alpha_that_is_opaque_on_the_face_is_no_mask(tmp_path, reader):
    """Rounded corners and padding; a mask file is one, whatever it shows."""
    corner = np.full(PORTRAIT.shape[:2], 255, np.uint8)
    corner[:30, :30] = 0
    found = reader.find_in_array(np.dstack([PORTRAIT, corner]), "p", 1)
    photo = reader.with_region("p", found, found.faces[0])[0]
    assert photo.alignment.crop.shape[-1] == 4
    assert photo.alpha is None
    Image.fromarray(PORTRAIT).save(tmp_path / "p.png")
    Image.fromarray(corner).save(tmp_path / "p_mask.png")
    photo = reader.read(tmp_path / "p.png")[0]
    assert photo.alpha.min() >= 0
    assert not photo.own_alpha
    found = reader.find_in_array(with_mask(PORTRAIT), "p", 1)
    assert reader.with_region("p", found, found.faces[0])[0].own_alpha


@pytest.mark.parametrize("size", [32, 224])
def test_blur_is_measured_at_one_size(reader, size):
    other = PhotoReader(built_in_face(2000), Camera((size, size)), 0.9)
    face = detection.Face(np.zeros(4), FIVE, 1.0)
    found = FoundFaces(PORTRAIT, [face])
    crop = other.reference_crop(found, face, other.aligned("p", found, face))
    np.testing.assert_array_equal(crop, reader.aligned("p", found, face).alignment.crop)


def test_photos_without_a_mask_show_surroundings(reader):
    found = reader.find_in_array(PORTRAIT, "p", 1)
    assert reader.with_region("p", found, found.faces[0])[0].shows_surroundings


def test_all_faces_hold_the_largest_on_a_shared_photo(reader):
    path = shared_file("cases/field/photos/faces_all_18.png")
    largest, every = reader.find(path, 1).faces[0], reader.find(path).faces
    assert any(np.allclose(largest.points, face.points) for face in every)


@pytest.mark.parametrize(
    ("points", "start", "remark"),
    [
        (FIVE[[1, 0, 2, 4, 3]], "", "left and right"),
        (FIVE * (1, -1) + (0, len(PORTRAIT)), "", "y pointing up"),
        (FIVE, "\ufeff", ""),  # as Windows begins a text
    ],
)
def test_a_text_of_landmarks_is_understood_and_its_order_told(tmp_path, reader, points, start, remark):
    Image.fromarray(PORTRAIT).save(tmp_path / "p.png")
    text = "".join(f"{x:.2f} {y:.2f}\n" for x, y in points)
    (tmp_path / "p.txt").write_text(start + text, encoding="utf-8")
    photo = reader.read(tmp_path / "p.png")[0]
    np.testing.assert_allclose(photo.face.points, FIVE, atol=0.01)
    assert remark in photo.remark
    assert bool(remark) == bool(photo.remark)
