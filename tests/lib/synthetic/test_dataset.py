"""The folder of synthetic crops: its truth, resuming, growing, and what makes it stale."""

import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.files.numpy_files import write_npz
from lib.synthetic import dataset, face_set
from lib.synthetic.builtin.face_generator import build_face_model
from lib.synthetic.dataset import TRUTH, crop_name, load_truth, render_dataset
from tests.support.helpers import ROOT

SIZE = 48


@pytest.fixture(scope="module")
def face_model():
    return build_face_model(2000, seed=0)


@pytest.fixture(scope="module")
def rendered(face_model, tmp_path_factory):
    """Four crops, made by two processes."""
    folder = tmp_path_factory.mktemp("faces")
    assert render_dataset(face_model, folder, 4, SIZE, 7, 2) == [crop_name(i) for i in range(4)]
    return folder


@pytest.fixture
def own(rendered, tmp_path):
    """A copy of the four crops, for a test that changes them."""
    return shutil.copytree(rendered, tmp_path / "faces")


def contents(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in os.listdir(folder) if name.endswith(".png")}


def test_crops_and_truth_belong_together(rendered, face_model):
    assert sorted(os.listdir(rendered)) == [*(crop_name(i) for i in range(4)), TRUTH]
    truth = load_truth(rendered)
    assert truth["names"].tolist() == [crop_name(i) for i in range(4)]
    assert truth["coefficients"].shape == (4, face_model.layout.size)
    assert truth["true_albedo"].shape == (4, face_model.vertex_count, 3)
    assert truth["true_albedo"].dtype == np.float16
    assert truth["landmarks"].shape == (4, 68, 2)
    assert len(set(truth["identity_id"].tolist())) == 4, "nobody may be in two parts of a split by file"
    for i in range(4):
        with Image.open(rendered / crop_name(i)) as image:
            assert (image.mode, image.size) == ("RGBA", (SIZE, SIZE))
            alpha = np.asarray(image)[..., 3]
        assert set(np.unique(alpha)) <= {0, 255}
        assert 0.1 < (alpha > 0).mean() < 0.9
        # Brows, nose, eyes and mouth lie on the face, where nothing covers them.
        x, y = np.clip(truth["landmarks"][i, 17:].astype(int), 0, SIZE - 1).T
        assert (alpha[y, x] == 255).mean() > 0.5


def test_a_killed_run_goes_on_and_a_larger_count_keeps_what_is_there(own, face_model):
    before, times = contents(own), os.stat(own / crop_name(0)).st_mtime_ns
    truth = load_truth(own)
    (own / crop_name(2)).unlink()
    (own / ".face_000002-abcdefgh.png").write_bytes(b"half")
    render_dataset(face_model, own, 5, SIZE, 7, 1)
    after = contents(own)
    assert after.keys() == {crop_name(i) for i in range(5)}
    assert {name: after[name] for name in before} == before, "crop i depends on the seed and i alone"
    assert os.stat(own / crop_name(0)).st_mtime_ns == times
    np.testing.assert_array_equal(load_truth(own)["coefficients"][:4], truth["coefficients"])
    render_dataset(face_model, own, 3, SIZE, 7, 1)
    assert len(load_truth(own)["names"]) == 5, "a smaller count deletes nothing"


def test_a_smaller_count_keeps_what_an_interrupted_run_has_finished(face_model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_collect", lambda *_: None)
        render_dataset(face_model, tmp_path, 4, SIZE, 7, 1)
    render_dataset(face_model, tmp_path, 2, SIZE, 7, 1)
    assert len(load_truth(tmp_path)["names"]) == 2
    monkeypatch.setattr(dataset, "_render", lambda *_: pytest.fail("all four are finished"))
    render_dataset(face_model, tmp_path, 4, SIZE, 7, 1)
    assert load_truth(tmp_path)["names"].tolist() == [crop_name(i) for i in range(4)]
    assert sorted(os.listdir(tmp_path)) == [*(crop_name(i) for i in range(4)), TRUTH]


def test_a_start_does_not_hold_the_whole_truth(tmp_path):
    albedo = np.random.default_rng(0).integers(0, 99, (40, 50_000), np.int64)
    truth = dict.fromkeys(("coefficients", "identity_id", "landmarks"), np.zeros(40)) | {"true_albedo": albedo}
    names = [crop_name(i) for i in range(40)]
    write_npz(tmp_path / TRUTH, {"names": names, "key": "k", "face_model": "f", **truth})
    tracemalloc.start()
    try:
        assert dataset._collected(tmp_path, "k") == 40
        assert tracemalloc.get_traced_memory()[1] < albedo.nbytes / 2
    finally:
        tracemalloc.stop()


def test_damage_of_a_single_number_of_the_truth_is_noticed_at_the_start(rendered, tmp_path, capsys):
    content = bytearray((rendered / TRUTH).read_bytes())
    content[len(content) // 2] ^= 4  # in the albedo, which takes nearly all of the file
    (tmp_path / TRUTH).write_bytes(content)
    assert dataset._collected(tmp_path, "any") == 0
    assert "damaged, made again (a damaged archive: Bad CRC-32 for file 'true_albedo.npy'" in capsys.readouterr().err


def test_another_seed_replaces_everything(own, face_model):
    before = contents(own)
    render_dataset(face_model, own, 1, SIZE, 8, 1)
    after = contents(own)
    assert after.keys() == {crop_name(0)}
    assert after[crop_name(0)] != before[crop_name(0)]
    assert len(load_truth(own)["names"]) == 1


def test_crops_of_another_method_are_replaced_and_those_of_this_one_kept(own, face_model, monkeypatch):
    render_dataset(face_model, own, 1, SIZE, 7, 1)
    before = os.stat(own / crop_name(0)).st_mtime_ns
    render_dataset(face_model, own, 1, SIZE, 7, 1)
    assert os.stat(own / crop_name(0)).st_mtime_ns == before
    monkeypatch.setattr(dataset, "METHOD", "another")
    render_dataset(face_model, own, 1, SIZE, 7, 1)
    assert os.stat(own / crop_name(0)).st_mtime_ns > before


SCRIPT = """
import sys
from lib.synthetic.dataset import render_dataset
from lib.synthetic.builtin.face_generator import build_face_model
if __name__ == "__main__":
    render_dataset(build_face_model(2000, seed=0), sys.argv[1], 50, 48, 7, 2)
"""


def test_a_killed_process_is_said_with_the_faces_it_rendered():
    assert "got one killed at face_000007.png (" in dataset._lost(7)
    assert "got one killed at one of the faces 32 to 63 (" in face_set._lost((1, list(range(32, 64))))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_killed_program_leaves_no_worker_behind(tmp_path):
    script = tmp_path / "render.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen([sys.executable, script, tmp_path / "faces"], env=environment, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children")

    def workers() -> list[str]:
        pids = children.read_text().split()
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    wait_until(lambda: len(workers()) == 2 or program.poll() is not None)
    started = workers()
    wait_until(lambda: (tmp_path / "faces" / crop_name(0)).exists() or program.poll() is not None)
    assert program.poll() is None, "it must be killed while it renders"
    assert len(started) == 2
    program.kill()
    program.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def wait_until(condition, seconds: float = 120.0) -> None:
    """Returns as soon as the condition holds; the limit only ends a hanging test."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path, face_model):
    (tmp_path / "generated").write_text("mine")
    with pytest.raises(UserError, match=r"generated: must be a folder, got a file or a broken link"):
        render_dataset(face_model, tmp_path / "generated" / "faces", 1, 32, 0, workers=1)


def test_missing_truth_is_one_line(tmp_path):
    with pytest.raises(UserError, match="must hold the truth of synthetic crops") as caught:
        load_truth(tmp_path)
    assert "\n" not in str(caught.value)
