"""Mistakes of callers of the Python interface: each is named, and nothing is written."""

import numpy as np
import pytest

from configs import schema
from lib.errors import UserError
from model.reconstruction.face_reconstructor import FaceReconstructor
from tests.support.photo_corpus import portrait_pixels
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts


@pytest.fixture(scope="module")
def reconstructor():
    overrides = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE, "export.texture_size": 256}
    with detected_once():
        yield FaceReconstructor(schema.load(overrides=overrides), untrained_parts())


@pytest.fixture(scope="module")
def face(reconstructor):
    return reconstructor(portrait_pixels())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"fit.steps": 0},), "a configuration must be the path of a YAML file, got a dict of 1"),
        ((None, None), "overrides must be a list of section.key=value or a dict, got None"),
        ((None, "fit.steps=0"), "overrides must be a list of section.key=value or a dict, got 'fit.steps=0'"),
        ((None, {3: 0}), "unknown key '3'"),
        ((None, [3]), "an override must be section.key=value, got 3"),
    ],
)
def test_arguments_of_load(arguments, message):
    with pytest.raises(UserError, match=message):
        FaceReconstructor.load(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be a whole number from 1 to 4096, got 0"),
        ({"size": -1}, "got -1"),
        ({"size": 100.5}, "got 100.5"),
        ({"size": 20_000}, "got 20000"),
        ({"yaw": "0.5"}, "yaw must be a finite number, got '0.5'"),
        ({"pitch": float("nan")}, "pitch must be a finite number, got nan"),
        ({"roll": float("inf")}, "roll must be a finite number, got inf"),
        ({"yaw": [0.5]}, r"yaw must be a finite number, got \[0.5\]"),
        ({"yaw": 10**400}, "yaw must be a finite number, got 1000"),
        ({"expression": ["jawOpen"]}, r"an expression must be names and weights.*got \['jawOpen'\]"),
        ({"expression": {"jawOpen": "x"}}, "the weight of jawOpen must be a finite number, got 'x'"),
        ({"expression": {"jawOpen": float("nan")}}, "the weight of jawOpen must be a finite number, got nan"),
        ({"expression": {3: 0.5}}, "expressions must be of .*got 3"),
        ({"light": np.full([3, 9], np.nan)}, "light must be finite, got 27 numbers that are not"),
        ({"light": "bright"}, r"light must be \[3, 9\] numbers, got str"),
        ({"light": [[1], [1, 2]]}, r"light must be \[3, 9\] numbers, got list"),
    ],
)
def test_arguments_of_render(reconstructor, face, arguments, message):
    with pytest.raises(UserError, match=message):
        reconstructor.render(face, **arguments)


def test_numbers_of_other_libraries_are_numbers(reconstructor, face):
    view = reconstructor.render(face, yaw=np.float32(0.5), size=np.int64(48), light=face.light.tolist())
    np.testing.assert_array_equal(view, reconstructor.render(face, yaw=0.5, size=48))


def test_only_results_are_rendered(reconstructor):
    with pytest.raises(UserError, match="must be a result of a reconstructor, got ndarray"):
        reconstructor.render(np.zeros([8, 8, 3]))


def test_folders_that_cannot_be(face, tmp_path):
    (tmp_path / "file").touch()
    for folder, message in (
        (tmp_path / "file", "file: must be a folder, got a file"),
        ("/proc/x", "/proc/x: must be a folder that can be "),
        ("a\0b", "a folder's name must be without null characters, got 'a.x00b'"),
    ):
        with pytest.raises(UserError, match=message):
            face.save(folder)


def test_one_format_as_a_word(face, tmp_path):
    face.save(tmp_path, formats="ply")
    assert (tmp_path / "mesh.ply").is_file()
    assert not (tmp_path / "mesh.obj").exists()
