"""The examples, end to end: a small training, then a photo with what it trained."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from examples import new_view, one_photo, train_on_crops
from lib.errors import UserError
from lib.synthetic.builtin.face_generator import build_face_model
from tests.support.toy_faces import ToyFaces

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run, and a photo."""
    root = tmp_path_factory.mktemp("examples")
    faces, crops = ToyFaces(build_face_model(2500), 224, seed=2), root / "crops"
    crops.mkdir()
    for index in range(4):
        sample = faces.sample(index)
        Image.fromarray(np.dstack([sample.image, sample.alpha]).astype(np.uint8)).save(crops / f"{index}.png")
    photo = root / "photo.png"
    Image.fromarray(skimage.data.astronaut()).save(photo)
    train_on_crops.main(str(crops), str(photo), str(root / "run"), updates=2)
    return root / "run", photo


def test_training_on_own_crops_ends_with_a_face(trained):
    run, _ = trained
    assert (run / "checkpoints/face_default/best.npz").is_file()
    assert (run / "face/mesh.glb").is_file()
    assert (run / "face/fine.png").is_file()


def test_one_photo_as_a_command(trained, tmp_path):
    run, photo = trained
    command = [sys.executable, str(ROOT / "examples/one_photo.py"), str(photo), str(tmp_path / "out")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=run, env=environment, capture_output=True, text=True, check=True)
    assert "tip of the nose at pixel" in done.stdout
    assert {"mesh.obj", "mesh.glb", "fine.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_new_views(trained, tmp_path, monkeypatch):
    run, photo = trained
    monkeypatch.chdir(run)
    new_view.main(str(photo), str(tmp_path / "views.png"), size=112)
    with Image.open(tmp_path / "views.png") as image:
        assert (image.size, image.mode) == ((4 * 112, 112), "RGBA")
        views = np.split(np.asarray(image), 4, axis=1)
    assert all(view[..., 3].any() for view in views)
    np.testing.assert_array_equal(views[1][..., 3], views[3][..., 3])
    assert (views[1] != views[3]).any(), "mirrored light changes colours, and nothing else"


def test_without_a_trained_network_an_example_says_what_to_run(trained, tmp_path, monkeypatch):
    run, photo = trained
    (tmp_path / "data").mkdir()
    shutil.copytree(run / "data/generated", tmp_path / "data/generated")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"best\.npz: a checkpoint must be here, got none"):
        one_photo.main(str(photo), str(tmp_path / "out"))
