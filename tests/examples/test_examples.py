"""The examples, end to end: a small training, then a photo with what it trained."""

import ast
import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from examples import new_view, one_photo, train_on_crops
from model.training import loop
from tests.support.faces import built_in_face
from tests.support.helpers import eager_functions
from tests.support.toy_faces import ToyFaces

ROOT = Path(__file__).parents[2]


TRAIN = loop.train


def train_eagerly(*arguments):
    """Without compiling, which takes longer than two updates."""
    with eager_functions():
        return TRAIN(*arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run, and a photo."""
    root = tmp_path_factory.mktemp("examples")
    faces, crops = ToyFaces(built_in_face(2500), 224, seed=2), root / "crops"
    crops.mkdir()
    for index in range(4):
        sample = faces.sample(index)
        Image.fromarray(np.dstack([sample.image, sample.alpha]).astype(np.uint8)).save(crops / f"{index}.png")
    photo = root / "photo.png"
    Image.fromarray(skimage.data.astronaut()).save(photo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train", train_eagerly)
        train_on_crops.main(str(crops), str(photo), str(root / "run"), updates=2)
    return root / "run", photo


def test_training_on_own_crops_ends_with_a_face(trained):
    run, _ = trained
    assert (run / "checkpoints/face_default/best.npz").is_file()
    assert (run / "face/mesh.glb").is_file()
    assert (run / "face/fine.png").is_file()


def test_one_photo_as_a_command(trained, tmp_path, monkeypatch, capsys):
    """The script itself, with modules that are loaded already; the package is looked up again."""
    run, photo = trained
    elsewhere = [path for path in sys.path if Path(path).resolve() != ROOT]
    monkeypatch.chdir(run)
    monkeypatch.setattr(sys, "path", elsewhere)
    monkeypatch.setattr(sys, "argv", ["one_photo.py", str(photo), str(tmp_path / "out")])
    monkeypatch.delitem(sys.modules, "model")
    runpy.run_path(str(ROOT / "examples/one_photo.py"), run_name="__main__")
    assert "tip of the nose at pixel" in capsys.readouterr().out
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


NOTEBOOK = ROOT / "examples" / "reconstruct_a_photo.ipynb"


def test_the_notebook_is_stored_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_notebook_runs_from_top_to_bottom(trained, tmp_path, monkeypatch):
    """Its cells in one namespace, as a kernel runs them; the test replaces the cell tagged as parameters alone."""
    run, photo = trained
    monkeypatch.chdir(NOTEBOOK.parent)  # where Jupyter starts
    monkeypatch.setattr(sys, "path", sys.path.copy())
    options = {"export.texture_size": 256}
    given = {"photo": str(photo), "run": str(run), "output": str(tmp_path / "out"), "options": options}
    names, results = {}, []
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            body = ast.parse("".join(cell["source"])).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
            if last is not None:
                results.append(eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names))
            if "parameters" in cell["metadata"].get("tags", []):
                assert given.keys() <= names.keys()
                names |= given
    _, three, turned, weights, changed, files = (result for result in results if result is not None)
    assert (three.size, turned.size, changed.size) == ((3 * 224, 224), (3 * 320, 320), (3 * 320, 320))
    assert all((view != names["turned"][1]).any(axis=-1).mean() > 0.001 for view in names["changed"])
    assert len(weights) == 10
    assert {"mesh.glb", "rig.glb", "mesh.usdz", "rig.usdz", "coarse.png", "fine.png"} <= set(files)


def test_without_a_run_an_example_uses_the_shipped_network(trained, tmp_path, monkeypatch):
    run, photo = trained
    (tmp_path / "data").mkdir()
    shutil.copytree(run / "data/generated", tmp_path / "data/generated")
    monkeypatch.chdir(tmp_path)
    one_photo.main(str(photo), str(tmp_path / "out"))
    assert (tmp_path / "out/fine.png").is_file()
