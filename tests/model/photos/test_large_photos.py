"""Photos that are read at reduced size: all coordinates that leave the program are in pixels of the file."""

import json

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.face_image import photo_io
from model.person.reconstruct import reconstruct_people
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video.live import track_video
from model.video.track import reconstruct_video
from tests.support.helpers import csv_rows
from tests.support.photo_corpus import portrait_pixels
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts

# Columns of a photo on its side, and rows: not equal, so that swapped ones are seen.
PHOTO = portrait_pixels()[:, 20:]
LARGER = 2


@pytest.fixture(scope="module")
def pipeline():
    with detected_once():
        yield untrained_parts()


@pytest.fixture
def config(monkeypatch, pipeline):
    """A run in which photos beyond `PHOTO`'s size are halved."""
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", PHOTO.shape[0] * PHOTO.shape[1])
    overrides = {"fit.steps": 0, "data.image_size": SIZE, "export.texture_size": 256, "export.formats": ["ply"]}
    return schema.load(overrides=overrides)


def write(folder, turns=0, names=("a.png",)):
    """Folders `small` and `large` with the photo in two sizes; the halved large one is equal to the small one."""
    pixels = np.rot90(PHOTO, turns)
    for name, larger in {"small": 1, "large": LARGER}.items():
        (folder / name).mkdir()
        for file in names:
            Image.fromarray(np.repeat(np.repeat(pixels, larger, 0), larger, 1)).save(folder / name / file)
    return folder / "small", folder / "large"


def check(small, large):
    """Two contents of coefficients.json, of the same photo, the second one larger."""
    assert large["photo_size"] == [LARGER * side for side in small["photo_size"]]
    assert large["coefficients"] == small["coefficients"]
    for name in ("detected_points_in_photo", "landmarks_in_photo"):
        np.testing.assert_allclose(large[name], LARGER * np.array(small[name]))
    np.testing.assert_allclose(large["crop_to_photo"], LARGER * np.array(small["crop_to_photo"]))
    back = [np.vstack([large[name], [0, 0, 1]]) for name in ("photo_to_crop", "crop_to_photo")]
    np.testing.assert_allclose(back[0] @ back[1], np.eye(3), atol=1e-9)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_large_photo_is_described_in_its_own_pixels(tmp_path, config, pipeline, turns):
    reconstructor = FaceReconstructor(config, pipeline)
    faces = [reconstructor(folder / "a.png") for folder in write(tmp_path, turns)]
    for face, name in zip(faces, ("one", "two"), strict=True):
        face.save(tmp_path / name)
    small, large = (json.loads((tmp_path / name / "coefficients.json").read_text()) for name in ("one", "two"))
    assert small["photo_size"] == list(PHOTO.shape[:2])
    assert bool(large["quarter_turns"]) == bool(turns)
    check(small, large)
    one, two = (face.photo for face in faces)
    np.testing.assert_allclose(two.face.box, LARGER * one.face.box)
    np.testing.assert_array_equal(two.alignment.points, one.alignment.points)
    # The textures' pixels are the same ones.
    np.testing.assert_array_equal(faces[1].region.pixels, faces[0].region.pixels)
    np.testing.assert_allclose(faces[1].region.crop_to_region, faces[0].region.crop_to_region)


def test_landmarks_of_a_large_photo_fit_it_as_its_landmark_file(tmp_path, config, pipeline):
    _, folder = write(tmp_path)
    reconstructor = FaceReconstructor(config, pipeline)
    found = reconstructor(folder / "a.png").landmarks
    np.savetxt(folder / "a.txt", found)
    given = reconstructor(folder / "a.png").photo.face
    assert given.given == "a.txt"
    np.testing.assert_allclose(given.landmarks, found, atol=1e-6)


def test_large_photos_of_one_person_are_described_in_their_own_pixels(tmp_path, config):
    contents = []
    for source in write(tmp_path, names=("a.png", "b.png")):
        output = tmp_path / f"{source.name} out"
        reconstruct_people(config, source, output)
        contents.append(json.loads((output / "a/coefficients.json").read_text()))
    check(*contents)


@pytest.mark.parametrize("run", [reconstruct_video, track_video])
def test_large_frames_are_described_in_their_own_pixels(tmp_path, config, run):
    found = []
    for source in write(tmp_path, names=("0.png", "1.png")):
        output = tmp_path / f"{source.name} out"
        run(config, source, output)
        with np.load(output / "coefficients.npz") as arrays:
            found.append({name: arrays[name] for name in arrays})
        if run is track_video:
            found[-1]["place"] = [
                [float(row[name]) for name in ("x", "y", "pixels_per_decimetre")]
                for row in csv_rows(output / "pose.csv")
            ]
    small, large = found
    np.testing.assert_array_equal(large["coefficients"], small["coefficients"])
    np.testing.assert_allclose(large["photo_to_crop"][..., :2], small["photo_to_crop"][..., :2] / LARGER)
    np.testing.assert_allclose(large["photo_to_crop"][..., 2], small["photo_to_crop"][..., 2])
    np.testing.assert_allclose(large["landmarks"], LARGER * small["landmarks"])
    if run is track_video:
        np.testing.assert_allclose(large["place"], LARGER * np.array(small["place"]), rtol=1e-3)
